/* SPDX-License-Identifier: BSD-3-Clause
 * The smallest use of iovad: a domain for a device that reaches 32 bits, addresses for
 * buffers of 8 KiB, and everything given back. */
#include <inttypes.h>
#include <stdio.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <iovad/iovad.h>

int main(int argc, char **argv)
{
	if (rte_eal_init(argc, argv) < 0)
		return 1;

	struct iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = "nic0";
	struct iovad_domain *domain = iovad_domain_create(&conf);
	if (!domain) {
		fprintf(stderr, "no domain: %s\n", rte_strerror(rte_errno));
		return 1;
	}

	rte_iova_t iova[4];
	int error = iovad_alloc_bulk(domain, 8192, UINT32_MAX, iova, 4);
	if (error) {
		fprintf(stderr, "no addresses: %s\n", rte_strerror(-error));
		return 1;
	}
	for (int i = 0; i < 4; i++)
		printf("buffer %d at 0x%" PRIx64 "\n", i, iova[i]);
	iovad_free_bulk(domain, iova, 8192, 4);

	error = iovad_domain_destroy(domain);
	rte_eal_cleanup();
	return error ? 1 : 0;
}
