/* SPDX-License-Identifier: Apache-2.0 */
/* Programs for tests/node/outside_soup.h: packets, fragments and ICMP errors of translated flows. */
#include <stddef.h>
#include <stdint.h>

#include "tests/node/graph.h"
#include "tests/node/outside.h"
#include "tests/node/outside_soup.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	graph_start();
	outside_start(0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	outside_play(data, size);
	return 0;
}
