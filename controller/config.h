/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_CONFIG_H
#define CONTROLLER_CONFIG_H
/* controller.yaml, checked, with its defaults. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct controller_config {
	char *listen;
	char *http;            /* "127.0.0.1:9470" */
	char *http_token_file; /* NULL: none */
	char *store;
	char *audit_log;
	char *alerts_file, *alerts_syslog; /* NULL: none */
	uint32_t vni_first, vni_last;
	json_t *tls; /* object with the files of lib/tls.h; NULL: none */
	unsigned usage_interval_s, usage_keep_days;
	json_t *nodes;    /* list of node objects as node.create takes them */
	bool nodes_given; /* false: the local host, unless the store knows nodes */
};

/* 0, or -errno after having said on stderr what is wrong. `path` may be NULL. */
int controller_config_load(struct controller_config *config, const char *path);
void controller_config_free(struct controller_config *config);

#endif
