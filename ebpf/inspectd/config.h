/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INSPECTD_CONFIG_H
#define INSPECTD_CONFIG_H
/* inspect.yaml, checked, with its defaults. Texts are borrowed from `root`. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct inspectd_config {
	json_t *root;          /* own reference */
	const char *dataplane; /* socket of this host's dataplane */
	const char *rpc;       /* our own */
	const char *pin;       /* directory on a BPF file system */
	const char *object;    /* programs to load in place of our own; NULL: our own */
	bool xdp;              /* how the feed is attached; else TC */
	uint32_t flows, sources, contacts;
	uint32_t events_bytes;
	const json_t *interfaces; /* list of {ifname, vni, port, mode}; never NULL */
};

/* 0, or -errno after having said on stderr what is wrong. `path` may be NULL. */
int inspectd_config_load(struct inspectd_config *config, const char *path);
void inspectd_config_free(struct inspectd_config *config);

#endif
