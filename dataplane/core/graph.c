/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include <rte_errno.h>
#include <rte_graph.h>

#include "core/node.h"
#include "lib/log.h"

int graph_init(void)
{
	/* Sources; what they lead to comes along. */
	static const char *sources[] = {
		"port_rx", "control_rx", "fragment_release", "external_release", "shape_release"};

	node_link_all();
	for (unsigned int i = 0; i < worker_count; i++) {
		struct rte_graph_param param = {
			.socket_id = SOCKET_ID_ANY,
			.nb_node_patterns = RTE_DIM(sources),
			.node_patterns = sources,
		};
		char name[RTE_GRAPH_NAMESIZE];

		snprintf(name, sizeof(name), "worker%u", i);
		if (rte_graph_create(name, &param) == RTE_GRAPH_ID_INVALID) {
			log_error("the packet graph can not be made",
				LOG_STR("reason", rte_strerror(rte_errno)));
			return -(rte_errno != 0 ? rte_errno : EINVAL);
		}
		workers[i].graph = rte_graph_lookup(name);
	}
	return 0;
}
