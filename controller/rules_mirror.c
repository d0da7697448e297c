/* SPDX-License-Identifier: Apache-2.0 */
/* Mirrors: the filter is one, nobody is shown the copies of its own packets, and those with a target port have a VNI, under which
 * nodes send one another their copies. */
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

struct mirror_rules_state {
	bool has_vni;
};

uint32_t mirror_vni(const struct object *mirror)
{
	return (uint32_t)resource_integer(mirror->json, "vni", 0);
}

/* Only copies for a port need one. */
static bool mirror_complete(const struct model *model, json_t *json, struct resource_error *error)
{
	(void)model;
	(void)error;
	if (resource_text(json_object_get(json, "target"), "port") == NULL)
		json_object_del(json, "vni");
	return true;
}

static bool mirror_claim(struct model *model, struct object *mirror, struct resource_error *error)
{
	struct mirror_rules_state *s = mirror->state;
	uint32_t vni = mirror_vni(mirror);

	if (vni == 0)
		return true;
	if (!range_set_add(&model->vnis, vni, vni))
		return resource_fail_code(error, ERROR_CONFLICT, "/vni",
			"VNI %u is taken by a VPC or another mirror", vni);
	s->has_vni = true;
	return true;
}

/* From the other end than VPCs, whose numbers users name. */
static bool mirror_choose(struct model *model, struct object *mirror, struct resource_error *error)
{
	struct mirror_rules_state *s = mirror->state;
	range_value vni;

	if (s->has_vni || resource_text(json_object_get(mirror->json, "target"), "port") == NULL)
		return true;
	if (!range_set_highest_free(&model->vnis, model->vni_first, model->vni_last, &vni))
		return rules_exhausted(error, "/vni", "vni", "no VNI is left in %llu..%llu",
			(unsigned long long)model->vni_first, (unsigned long long)model->vni_last);
	json_object_set_new(mirror->json, "vni", json_integer((json_int_t)vni));
	range_set_add(&model->vnis, vni, vni);
	s->has_vni = true;
	return true;
}

static void mirror_release(struct model *model, struct object *mirror)
{
	struct mirror_rules_state *s = mirror->state;
	uint32_t vni = mirror_vni(mirror);

	if (s->has_vni)
		range_set_remove(&model->vnis, vni, vni);
	s->has_vni = false;
}

const struct kind_rules rules_mirror = {
	.kind = "mirror",
	.state_size = sizeof(struct mirror_rules_state),
	.complete = mirror_complete,
	.claim = mirror_claim,
	.choose = mirror_choose,
	.release = mirror_release,
	.check = mirror_check,
};
