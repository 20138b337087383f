#include <inttypes.h>
#include <stdio.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include <iovad/iovad.h>

int
main(int argc, char **argv)
{
	struct iovad_domain_conf conf;
	struct iovad_domain *domain;
	rte_iova_t iova;
	int ret;

	if (rte_eal_init(argc, argv) < 0)
		return 1;

	iovad_domain_conf_init(&conf);
	conf.name = "nic0";
	domain = iovad_domain_create(&conf);
	if (domain == NULL) {
		fprintf(stderr, "no domain: %s\n", rte_strerror(rte_errno));
		return 1;
	}

	/* 8 KiB that a device with 32 address bits can reach */
	ret = iovad_alloc(domain, 2 * 4096, UINT32_MAX, &iova);
	if (ret == 0) {
		printf("8 KiB at 0x%" PRIx64 "\n", iova);
		ret = iovad_free(domain, iova, 2 * 4096);
	}
	if (ret == 0)
		ret = iovad_domain_destroy(domain);
	if (ret != 0)
		fprintf(stderr, "iovad: %s\n", rte_strerror(-ret));

	rte_eal_cleanup();
	return ret != 0;
}
