/* SPDX-License-Identifier: Apache-2.0 */
/* Programs for tests/node/soup.h: the whole graph under frames, changes and time. */
#include <stddef.h>
#include <stdint.h>

#include "tests/node/graph.h"
#include "tests/node/soup.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	graph_start();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	soup_play(data, size);
	return 0;
}
