/* SPDX-License-Identifier: BSD-3-Clause
 * For callgrind: runs all hot paths and prints of each its name and number of operations.
 */
#include <stdio.h>

#include "hot_paths.h"

int main(void)
{
	if (hot_paths_set_up() != 0)
		return 1;
	for (const struct hot_path *path = hot_paths(); path->name; path++) {
		for (unsigned int i = 0; i < path->rounds; i++) {
			if (hot_path_round(path) != 0) {
				fprintf(stderr, "%s failed\n", path->name);
				return 1;
			}
		}
		printf("%s %u\n", path->name, path->n * path->rounds);
	}
	return 0;
}
