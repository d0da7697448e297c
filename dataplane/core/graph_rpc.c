/* SPDX-License-Identifier: Apache-2.0 */
/* graph: the packet graph as it runs, in the language of graphviz. */
#include <stdio.h>
#include <stdlib.h>

#include <rte_graph.h>

#include "core/rpc.h"

static void graph(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	char name[] = "worker0"; /* all workers have the same */

	(void)params;
	(void)ctx;
	if (f == NULL || rte_graph_export(name, f) != 0) {
		jsonrpc_fail(call, ERROR_UNAVAILABLE, "the graph can not be written", NULL);
	} else {
		fflush(f);
		jsonrpc_reply(call, json_pack("{s:s#}", "dot", text, size));
	}
	if (f != NULL)
		fclose(f);
	free(text);
}
RPC_METHOD(graph_method, "graph", graph)
