/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "lib/config.h"
#include "lib/resource.h"
#include "sight.h"

static const struct field_value modes[] = {{"xdp", NULL}, {"tc", NULL}, {}};

static const struct field interface_fields[] = {
	{.name = "ifname", .type = FIELD_IFNAME, .flags = FIELD_REQUIRED},
	{.name = "vni", .type = FIELD_INTEGER, .flags = FIELD_REQUIRED, .min = 1, .max = 0xffffff},
	{.name = "port", .type = FIELD_NAME, .flags = FIELD_REQUIRED},
	{.name = "mode", .type = FIELD_ENUM, .values = modes, .def = "\"tc\""},
	{},
};

static const struct field capacity_fields[] = {
	{.name = "flows", .type = FIELD_INTEGER, .min = 1024, .max = 16 << 20, .def = "65536"},
	{.name = "sources", .type = FIELD_INTEGER, .min = 1024, .max = 1 << 20, .def = "16384"},
	{.name = "contacts", .type = FIELD_INTEGER, .min = 1024, .max = 16 << 20, .def = "65536"},
	{.name = "events_kb", .type = FIELD_INTEGER, .min = 4, .max = 65536, .def = "256"},
	{},
};

static const struct field config_fields[] = {
	{.name = "dataplane", .type = FIELD_PATH, .max = 107, .def = "\"/run/vpc/dataplane.sock\""},
	{.name = "rpc", .type = FIELD_PATH, .max = 107, .def = "\"/run/vpc/inspectd.sock\""},
	{.name = "pin", .type = FIELD_PATH, .def = "\"/sys/fs/bpf/vpc\""},
	{.name = "object", .type = FIELD_PATH},
	{.name = "feed", .type = FIELD_ENUM, .values = modes, .def = "\"xdp\""},
	{.name = "interfaces",
		.type = FIELD_OBJECT,
		.flags = FIELD_LIST,
		.fields = interface_fields,
		.def = "[]"},
	{.name = "capacity", .type = FIELD_OBJECT, .fields = capacity_fields, .def = "{}"},
	{},
};

static int check_interfaces(struct config *file, const json_t *interfaces)
{
	json_t *one, *other;
	size_t i, k;

	json_array_foreach ((json_t *)interfaces, i, one)
		json_array_foreach ((json_t *)interfaces, k, other)
			if (k < i && strcmp(resource_text(one, "ifname"),
					     resource_text(other, "ifname")) == 0) {
				char pointer[48];

				snprintf(pointer, sizeof(pointer), "/interfaces/%zu/ifname", i);
				return config_error(
					file, pointer, "is that of /interfaces/%zu too", k);
			}
	return 0;
}

static int check(struct config *file, const json_t *root)
{
	int64_t kb = resource_integer(json_object_get(root, "capacity"), "events_kb", 0);

	/* A ring buffer is a power of two pages (bpf(2)). */
	if (kb & (kb - 1))
		return config_error(file, "/capacity/events_kb", "must be a power of two");
	return check_interfaces(file, json_object_get(root, "interfaces"));
}

int inspectd_config_load(struct inspectd_config *config, const char *path)
{
	struct config file;
	const json_t *capacity;
	int rc = config_load(&file, path);

	*config = (struct inspectd_config){0};
	if (rc < 0)
		return rc;
	rc = config_check(&file, config_fields);
	if (rc == 0)
		rc = check(&file, file.root);
	if (rc == 0) {
		config->root = json_incref(file.root);
		config->dataplane = resource_text(config->root, "dataplane");
		config->rpc = resource_text(config->root, "rpc");
		config->pin = resource_text(config->root, "pin");
		config->object = resource_text(config->root, "object");
		config->xdp = strcmp(resource_text(config->root, "feed"), "xdp") == 0;
		config->interfaces = json_object_get(config->root, "interfaces");
		capacity = json_object_get(config->root, "capacity");
		config->flows = (uint32_t)resource_integer(capacity, "flows", 0);
		config->sources = (uint32_t)resource_integer(capacity, "sources", 0);
		config->contacts = (uint32_t)resource_integer(capacity, "contacts", 0);
		config->events_bytes = (uint32_t)resource_integer(capacity, "events_kb", 0) * 1024;
	}
	config_free(&file);
	return rc;
}

void inspectd_config_free(struct inspectd_config *config)
{
	json_decref(config->root);
	*config = (struct inspectd_config){0};
}
