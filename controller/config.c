/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/config.h"

#include "alert_out.h"
#include "lib/config.h"
#include "lib/resource.h"
#include "lib/tls.h"
#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VNI_FIRST 10000
#define VNI_LAST 0xffffff
#define TOKEN_FILE "/etc/vpc/tokens"

static const struct field tls_fields[] = {TLS_FIELDS, {}};

static const struct field alerts_fields[] = {
	{.name = "file", .type = FIELD_PATH},
	{.name = "syslog", .type = FIELD_STRING, .min = 1},
	{},
};

static const struct field usage_fields[] = {
	{.name = "interval_s", .type = FIELD_INTEGER, .min = 1, .max = 3600, .def = "10"},
	{.name = "keep_days", .type = FIELD_INTEGER, .min = 1, .max = 36500, .def = "92"},
	{},
};

static const struct field config_fields[] = {
	{.name = "listen", .type = FIELD_PATH, .max = 107, .def = "\"/run/vpc/controller.sock\""},
	{.name = "http", .type = FIELD_STRING, .min = 1, .def = "\"127.0.0.1:9470\""},
	{.name = "http_token_file", .type = FIELD_PATH},
	{.name = "store",
		.type = FIELD_STRING,
		.min = 1,
		.def = "\"sqlite:/var/lib/vpc/state.db\""},
	{.name = "vni_range",
		.type = FIELD_INTEGER,
		.flags = FIELD_LIST,
		.min = 1,
		.max = VNI_LAST,
		.min_items = 2,
		.max_items = 2},
	{.name = "audit_log", .type = FIELD_PATH, .def = "\"/var/log/vpc/audit.jsonl\""},
	{.name = "tls", .type = FIELD_OBJECT, .fields = tls_fields},
	{.name = "alerts", .type = FIELD_OBJECT, .fields = alerts_fields, .def = "{}"},
	{.name = "usage", .type = FIELD_OBJECT, .fields = usage_fields, .def = "{}"},
	/* Objects of their own kind: take_nodes(). */
	{.name = "nodes", .type = FIELD_ANY},
	{},
};

static char *take_text(const json_t *root, const char *key)
{
	const char *text = resource_text(root, key);

	return text != NULL ? mem_strdup(text) : NULL;
}

static int complain(struct config *file, struct resource_error *error)
{
	return config_error(file, error->path, "%s", error->reason);
}

/* What no two nodes have: a dataplane is programmed once, and a VTEP is one machine. */
static int check_unique(const struct controller_config *config, struct config *file,
	const json_t *node, size_t index)
{
	static const char *const keys[] = {"name", "rpc", "vtep"};
	json_t *other;
	size_t i;

	json_array_foreach (config->nodes, i, other)
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			const char *mine = resource_text(node, keys[k]);
			const char *its = resource_text(other, keys[k]);
			char pointer[48];

			if (mine == NULL || its == NULL || strcmp(mine, its) != 0)
				continue;
			snprintf(pointer, sizeof(pointer), "/nodes/%zu/%s", index, keys[k]);
			return config_error(file, pointer, "is that of node `%s` too",
				resource_text(other, "name"));
		}
	return 0;
}

/* Are the files of `tls` there, whose place in the configuration is `pointer`? */
static int check_tls(struct config *file, const json_t *tls, const char *pointer)
{
	struct tls_files files = tls_files_of(tls);
	struct tls_fault fault;
	char member[64];

	if (tls == NULL || tls_check(TLS_CLIENT, &files, &fault))
		return 0;
	snprintf(member, sizeof(member), "%s/%s", pointer, fault.field);
	return config_error(file, member, "%s", fault.reason);
}

static int take_nodes(struct controller_config *config, struct config *file, const json_t *nodes)
{
	size_t i;
	json_t *node;
	int rc;

	config->nodes = mem_json(json_array());
	config->nodes_given = nodes != NULL;
	if (nodes != NULL && !json_is_array(nodes))
		return config_error(file, "/nodes", "must be a list");
	json_array_foreach ((json_t *)nodes, i, node) {
		struct resource_error error;
		char pointer[40];
		json_t *object;

		if (!resource_validate(kind_find("node"), RESOURCE_CREATE, node, &object, &error)) {
			resource_error_prefix(&error, "/nodes/%zu", i);
			return complain(file, &error);
		}
		rc = check_unique(config, file, object, i);
		json_array_append_new(config->nodes, object);
		snprintf(pointer, sizeof(pointer), "/nodes/%zu/tls", i);
		if (rc == 0)
			rc = check_tls(file, json_object_get(object, "tls"), pointer);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int take_vni_range(
	struct controller_config *config, struct config *file, const json_t *range)
{
	config->vni_first = VNI_FIRST;
	config->vni_last = VNI_LAST;
	if (range == NULL)
		return 0;
	config->vni_first = (uint32_t)json_integer_value(json_array_get(range, 0));
	config->vni_last = (uint32_t)json_integer_value(json_array_get(range, 1));
	if (config->vni_first > config->vni_last)
		return config_error(file, "/vni_range", "begins behind its end");
	return 0;
}

static int check(const json_t *root, struct config *file)
{
	const char *store = resource_text(root, "store"), *http = resource_text(root, "http");
	const char *colon = strrchr(http, ':'), *tokens = resource_text(root, "http_token_file");
	const char *syslog = resource_text(json_object_get(root, "alerts"), "syslog");
	char *end;
	long port;

	if (strncmp(store, "sqlite:/", 8) != 0)
		return config_error(file, "/store",
			"must be sqlite: and an absolute path, such as "
			"sqlite:/var/lib/vpc/state.db");
	port = colon != NULL ? strtol(colon + 1, &end, 10) : -1;
	if (colon == NULL || !isdigit((unsigned char)colon[1]) || *end != '\0' || port > 65535)
		return config_error(file, "/http", "must be ADDRESS:PORT, such as 127.0.0.1:9470");
	if (syslog != NULL && !alert_out_syslog_valid(syslog))
		return config_error(file, "/alerts/syslog",
			"must be unix:PATH or udp://ADDRESS:PORT, such as unix:/dev/log");
	/* The usual place need not exist; one that was asked for must. */
	if (tokens != NULL && access(tokens, R_OK) != 0)
		return config_error(file, "/http_token_file", "%s cannot be read: %s", tokens,
			strerrordesc_np(errno));
	return 0;
}

static int parse(struct controller_config *config, struct config *file)
{
	struct resource_error error;
	json_t *plain = mem_json(json_copy(file->root)), *root;
	bool ok;
	int rc;

	json_object_del(plain, "nodes");
	ok = fields_validate(config_fields, RESOURCE_CREATE, plain, &root, &error);
	json_decref(plain);
	if (!ok)
		return complain(file, &error);
	rc = check(root, file);
	if (rc == 0)
		rc = take_vni_range(config, file, json_object_get(root, "vni_range"));
	if (rc == 0)
		rc = check_tls(file, json_object_get(root, "tls"), "/tls");
	if (rc == 0)
		rc = take_nodes(config, file, json_object_get(file->root, "nodes"));
	config->tls = json_incref(json_object_get(root, "tls"));
	config->listen = take_text(root, "listen");
	config->http = take_text(root, "http");
	config->http_token_file = take_text(root, "http_token_file");
	if (config->http_token_file == NULL && access(TOKEN_FILE, F_OK) == 0)
		config->http_token_file = mem_strdup(TOKEN_FILE);
	config->store = take_text(root, "store");
	config->audit_log = take_text(root, "audit_log");
	config->alerts_file = take_text(json_object_get(root, "alerts"), "file");
	config->alerts_syslog = take_text(json_object_get(root, "alerts"), "syslog");
	config->usage_interval_s =
		(unsigned)resource_integer(json_object_get(root, "usage"), "interval_s", 10);
	config->usage_keep_days =
		(unsigned)resource_integer(json_object_get(root, "usage"), "keep_days", 92);
	json_decref(root);
	return rc;
}

int controller_config_load(struct controller_config *config, const char *path)
{
	struct config file;
	int rc = config_load(&file, path);

	*config = (struct controller_config){0};
	if (rc < 0)
		return rc;
	rc = parse(config, &file);
	config_free(&file);
	return rc;
}

void controller_config_free(struct controller_config *config)
{
	free(config->listen);
	free(config->http);
	free(config->http_token_file);
	free(config->store);
	free(config->audit_log);
	free(config->alerts_file);
	free(config->alerts_syslog);
	json_decref(config->tls);
	json_decref(config->nodes);
	*config = (struct controller_config){0};
}
