/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
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
	"  --payload BYTES       in each frame, 1 to 1450 (1024)\n"
	"  --rate N              frames in a second (as fast as it goes)\n"
	"  --receive             receive, and check, what another one sends\n"
	"  --send                send as well as receive: for ports that hear themselves\n"
	"  --seconds S           end after S seconds without progress (10)\n"
	"  --backend vfio|soft   what maps memory (vfio); soft is for virtual devices\n"
	"  --device ADDRESS      a NIC bound to vfio-pci, for a container in which nothing else is mapped\n";

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return errno == 0 && end != text && *end == '\0' && *text != '-' && *out >= least && *out <= most;
}

/* The place of text in a list that ends with NULL. */
static bool one_of(const char *text, const char *const *list, int *out)
{
	for (*out = 0; list[*out] != NULL; ++*out) {
		if (strcmp(text, list[*out]) == 0)
			return true;
	}
	return false;
}

static bool mode(const char *text, struct options *o)
{
	static const char *const names[] = {"bounce", "region", "none", NULL};
	int which;

	if (!one_of(text, names, &which))
		return false;
	o->mode = (enum mode)which;
	return true;
}

static bool backend(const char *text, struct options *o)
{
	static const char *const names[] = {"vfio", "soft", NULL};
	int which;

	if (!one_of(text, names, &which))
		return false;
	o->backend = which == 0 ? IOVAD_BACKEND_VFIO : IOVAD_BACKEND_SOFT;
	return true;
}

int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{"mode", 1, NULL, 'm'}, {"file", 1, NULL, 'f'}, {"heap", 1, NULL, 'h'}, {"frames", 1, NULL, 'n'},
		{"payload", 1, NULL, 'p'}, {"rate", 1, NULL, 'r'}, {"receive", 0, NULL, 'i'}, {"send", 0, NULL, 'o'},
		{"seconds", 1, NULL, 's'}, {"backend", 1, NULL, 'b'}, {"device", 1, NULL, 'd'}, {0}};
	int name, index = 0;
	bool good;

	*o = (struct options){.backend = IOVAD_BACKEND_VFIO, .heap_mib = 1, .payload = 1024, .seconds = 10};
	while ((name = getopt_long(argc, argv, "", names, &index)) != -1) {
		good = true;
		switch (name) {
		case 'm': good = mode(optarg, o); break;
		case 'f': o->file = optarg; break;
		case 'h': good = number(optarg, 1, 4096, &o->heap_mib); break;
		case 'n': good = number(optarg, 1, UINT32_MAX, &o->frames); break;
		case 'p': good = number(optarg, 1, LONGEST_PAYLOAD, &o->payload); break;
		case 'r': good = number(optarg, 0, UINT32_MAX, &o->rate); break;
		case 'i': o->receive = true; break;
		case 'o': o->send = true; break;
		case 's': good = number(optarg, 1, UINT32_MAX, &o->seconds); break;
		case 'b': good = backend(optarg, o); break;
		case 'd': o->device = optarg; break;
		default: fputs(usage, stderr); return -1;
		}
		if (!good) {
			fprintf(stderr, "--%s: not a value of this option: %s\n", names[index].name, optarg);
			return -1;
		}
	}
	o->send |= !o->receive;
	if (optind != argc)
		fprintf(stderr, "not an option: %s\n", argv[optind]);
	return optind == argc ? 0 : -1;
}
