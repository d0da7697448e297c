/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors: the filter is one, and nobody is shown the copies of its own packets. */
#include "lib/packet_filter.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

static bool filter_check(const struct object *mirror, struct resource_error *error)
{
	struct packet_filter *filter = NULL;
	char reason[200];
	int rc = packet_filter_new(object_text(mirror, "filter"), &filter, reason, sizeof(reason));

	packet_filter_free(filter);
	return rc == 0 || resource_fail(error, "/filter", "%s", reason);
}

static bool sources_check(const struct object *mirror, struct resource_error *error)
{
	const json_t *target = json_object_get(mirror->json, "target"), *source;
	const char *analyser = resource_text(target, "port");
	char path[64];
	size_t i;

	json_array_foreach (json_object_get(mirror->json, "sources"), i, source) {
		const char *port = resource_text(source, "port");

		if (analyser == NULL || port == NULL || strcmp(port, analyser) != 0)
			continue;
		snprintf(path, sizeof(path), "/sources/%zu/port", i);
		return resource_fail(error, path, "port `%s` is the target", port);
	}
	return true;
}

/* What a machine sends, forged or not, would arrive there as from a host of ours, in whichever VPC the mirror says. */
static bool collector_check(
	const struct model *model, const struct object *mirror, struct resource_error *error)
{
	const char *address = mirror_collector(mirror);
	const struct object *node = address != NULL ? strmap_get(&model->vteps, address) : NULL;

	return node == NULL ||
	       resource_fail(error, "/target/address",
		       "%s is the VTEP of node `%s`: a collector is none", address, node->name);
}

const char *mirror_collector(const struct object *mirror)
{
	return resource_text(json_object_get(mirror->json, "target"), "address");
}

static bool mirror_check(
	const struct model *model, const struct object *mirror, struct resource_error *error)
{
	return filter_check(mirror, error) && sources_check(mirror, error) &&
	       collector_check(model, mirror, error);
}

const struct kind_rules rules_mirror = {
	.kind = "mirror",
	.check = mirror_check,
};
