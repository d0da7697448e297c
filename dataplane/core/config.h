/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H
/* node.yaml as a struct. Strings live as long as the config. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/worker.h"

/* Of root alone: who may write here decides what the node forwards. */
#define NODE_STATE_DIR "/var/lib/vpc-dataplane"

enum idle_mode { IDLE_ADAPTIVE, IDLE_POLL };

struct node_config {
	const char *node;
	const char *rpc;     /* a path, or tls://ADDRESS:PORT */
	const json_t *tls;   /* object; NULL: rpc is a path */
	const char *state;   /* file that keeps the applied state; NULL: none */
	const char *nat_log; /* file of the NAT gateways' log; NULL: none */
	const char *usage;   /* file that keeps what was used, beside it; NULL: none */
	unsigned int workers[WORKER_MAX];
	unsigned int n_workers;
	unsigned int main_cpu;
	enum idle_mode idle;
	bool hugepages; /* may use them */
	unsigned int size_mb;
	const json_t *underlay; /* object or NULL; underlay/ reads it */
	const json_t *external; /* array */
	uint32_t sessions, endpoints, ports, vpcs;
	const json_t *timeouts; /* object, complete */
	const json_t *limits;   /* object, complete */
	uint32_t recover_s;     /* connections in progress are picked up so long after a start */
	const char *inspect_ifname; /* of the TAP that inspection is fed by */
	const json_t *eal;          /* array of strings */
	json_t *root;               /* owned */
};

/* Loads and checks; on a mistake it is said on stderr as FILE:LINE: key: reason. `path` NULL: defaults. 0 or -errno. */
int node_config_load(struct node_config *config, const char *path);
void node_config_free(struct node_config *config);

extern struct node_config node_config;

#endif
