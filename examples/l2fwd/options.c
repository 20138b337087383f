/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "l2fwd.h"

static const char usage[] =
	"Usage: iovad-l2fwd [EAL options] -- [options]\n"
	"  --backend vfio|soft  what maps memory (vfio); soft is for virtual devices\n"
	"  --limit ADDRESS      the highest that devices reach (0xffffffff)\n"
	"  --heap MIB           descriptor rings from a heap in the domain, of so many MiB\n"
	"  --send-heap N        send N frames from malloc()ed memory, and verify their receipt\n"
	"  --seconds S          end after S seconds (else when the N frames are back, or at Ctrl-C)\n";

static bool number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return errno == 0 && end != text && *end == '\0' && *text != '-' && *out <= UINT32_MAX;
}

static bool backend(const char *text, struct options *o)
{
	o->backend = strcmp(text, "soft") == 0 ? IOVAD_BACKEND_SOFT : IOVAD_BACKEND_VFIO;
	return o->backend == IOVAD_BACKEND_SOFT || strcmp(text, "vfio") == 0;
}

int options_parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {{"backend", 1, NULL, 'b'}, {"limit", 1, NULL, 'l'}, {"heap", 1, NULL, 'm'},
					      {"send-heap", 1, NULL, 'n'}, {"seconds", 1, NULL, 's'}, {0}};
	int name, index = 0;
	bool good;

	*o = (struct options){.backend = IOVAD_BACKEND_VFIO, .limit = UINT32_MAX};
	while ((name = getopt_long(argc, argv, "", names, &index)) != -1) {
		switch (name) {
		case 'b': good = backend(optarg, o); break;
		case 'l': good = number(optarg, &o->limit); break;
		case 'm': good = number(optarg, &o->heap_mib); break;
		case 'n': good = number(optarg, &o->frames); break;
		case 's': good = number(optarg, &o->seconds); break;
		default: fputs(usage, stderr); return -1;
		}
		if (!good) {
			fprintf(stderr, "--%s: not a value of this option: %s\n", names[index].name, optarg);
			return -1;
		}
	}
	if (optind != argc)
		fprintf(stderr, "not an option: %s\n", argv[optind]);
	return optind == argc ? 0 : -1;
}
