/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heap_send.h"

static const char usage[] =
	"Usage: iovad-heap-send [EAL options] -- [options]\n"
	"  --mode bounce|region|none  how the device reads ordinary memory (bounce); none: it does not\n"
	"  --file FILE           send what is in it\n"
	"  --heap MIB            send so much malloc()ed memory (1), where no file is given\n"
	"  --frames N            so many, over and over (the content once)\n"
	"  --payload N[,N]       bytes in each frame, by turns, 1 to 1450 (1024)\n"
	"  --rate N              frames in a second (as fast as it goes)\n"
	"  --receive             receive, and check, what another one sends\n"
	"  --send                send as well as receive: for ports that hear themselves, and for one of two\n"
	"  --reply               likewise, but send nothing before something has come: for the other one\n"
	"  --seconds S           end after S seconds without progress (10)\n"
	"  --pool-mib N          the bounce pool, 2 MiB or more (16)\n"
	"  --descriptors N       of the transmit queue, 64 to 2048 (512): each may hold a slot of the pool\n"
	"  --copy-max BYTES      map longer frames, instead of copying them into the pool (none)\n"
	"  --backend vfio|soft   what maps memory (vfio); soft is for virtual devices\n"
	"  --device ADDRESS      a NIC bound to vfio-pci, for a container in which nothing else is mapped\n";

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 0);
	return end != text && *end == '\0' && *out >= least && *out <= most;
}

static bool payloads(const char *text, uint64_t out[2])
{
	char *end;

	out[0] = out[1] = strtoull(text, &end, 0);
	if (*end == ',')
		return number(end + 1, 1, LONGEST_PAYLOAD, &out[1]) && out[0] >= 1 && out[0] <= LONGEST_PAYLOAD;
	return number(text, 1, LONGEST_PAYLOAD, &out[0]);
}

static bool one_of(const char *text, const char *const names[], int *place)
{
	for (*place = 0; names[*place] != NULL; ++*place) {
		if (strcmp(text, names[*place]) == 0)
			return true;
	}
	return false;
}

static bool set(struct options *o, int name, const char *value)
{
	static const char *const modes[] = {"bounce", "region", "none", NULL}, *const backends[] = {"soft", "vfio", NULL};
	int place = 0;
	bool good = true;

	switch (name) {
	case 'm': good = one_of(value, modes, &place); o->mode = MODE_BOUNCE + place; break;
	case 'f': o->file = value; break;
	case 'h': good = number(value, 1, 4096, &o->heap_mib); break;
	case 'n': good = number(value, 1, UINT32_MAX, &o->frames); break;
	case 'p': good = payloads(value, o->payload); break;
	case 'r': good = number(value, 0, UINT32_MAX, &o->rate); break;
	case 'i': o->receive = true; break;
	case 'o': o->receive = o->send = true; break;
	case 'y': o->receive = o->send = o->reply = true; break;
	case 's': good = number(value, 1, UINT32_MAX, &o->seconds); break;
	case 'l': good = number(value, 2, 4096, &o->pool_mib); break;
	case 't': good = number(value, 64, MOST_TX_DESCRIPTORS, &o->descriptors); break;
	case 'c': good = number(value, 0, UINT32_MAX, &o->copy_max); break;
	case 'b': good = one_of(value, backends, &place); o->backend = IOVAD_BACKEND_SOFT + place; break;
	case 'd': o->device = value; break;
	}
	return good;
}

int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{"mode", 1, NULL, 'm'}, {"file", 1, NULL, 'f'}, {"heap", 1, NULL, 'h'}, {"frames", 1, NULL, 'n'},
		{"payload", 1, NULL, 'p'}, {"rate", 1, NULL, 'r'}, {"receive", 0, NULL, 'i'}, {"send", 0, NULL, 'o'},
		{"reply", 0, NULL, 'y'}, {"seconds", 1, NULL, 's'}, {"pool-mib", 1, NULL, 'l'},
		{"descriptors", 1, NULL, 't'}, {"copy-max", 1, NULL, 'c'}, {"backend", 1, NULL, 'b'},
		{"device", 1, NULL, 'd'}, {0}};
	int name, index = 0;

	*o = (struct options){.backend = IOVAD_BACKEND_VFIO, .heap_mib = 1, .payload = {1024, 1024}, .seconds = 10,
			      .pool_mib = 16, .copy_max = UINT32_MAX, .descriptors = 512};
	while ((name = getopt_long(argc, argv, "", names, &index)) != -1) {
		if (name == '?') {
			fputs(usage, stderr);
			return -1;
		}
		if (!set(o, name, optarg)) {
			fprintf(stderr, "--%s: not a value of this option: %s\n", names[index].name, optarg);
			return -1;
		}
	}
	o->send |= !o->receive;
	if (optind != argc)
		fprintf(stderr, "not an option: %s\n", argv[optind]);
	return optind == argc ? 0 : -1;
}
