/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#define MTU_UNKNOWN 1500

static void vpc_init(struct object *vpc)
{
	struct vpc_state *s = vpc->state;

	range_set_init(&s->subnets4);
	range_set_init(&s->subnets6);
}

static void vpc_fini(struct object *vpc)
{
	struct vpc_state *s = vpc->state;

	strmap_fini(&s->taken);
	strmap_fini(&s->routes);
	range_set_fini(&s->subnets4);
	range_set_fini(&s->subnets6);
}

bool vpc_covers(const struct object *vpc, const struct net_prefix *range)
{
	const json_t *cidrs = json_object_get(vpc->json, "cidrs"), *cidr;
	struct net_prefix outer;
	size_t i;

	json_array_foreach ((json_t *)cidrs, i, cidr)
		if (net_prefix_parse(json_string_value(cidr), &outer) &&
			net_prefix_covers(&outer, range))
			return true;
	return false;
}

uint32_t vpc_vni(const struct object *vpc)
{
	return (uint32_t)resource_integer(vpc->json, "vni", 0);
}

void vpc_gateway_mac(const struct object *vpc, struct net_mac *mac)
{
	uint32_t vni = vpc_vni(vpc);

	*mac = (struct net_mac){
		{0x02, 0x76, 0x70, (uint8_t)(vni >> 16), (uint8_t)(vni >> 8), (uint8_t)vni}};
}

static bool vpc_claim(struct model *model, struct object *vpc, struct resource_error *error)
{
	struct vpc_state *s = vpc->state;
	uint32_t vni = vpc_vni(vpc);

	if (vni == 0)
		return true;
	if (!range_set_add(&model->vnis, vni, vni))
		return resource_fail_code(error, ERROR_CONFLICT, "/vni",
			"VNI %u is taken by another VPC or a mirror", vni);
	s->has_vni = true;
	return true;
}

static bool vpc_choose(struct model *model, struct object *vpc, struct resource_error *error)
{
	struct vpc_state *s = vpc->state;
	range_value vni;

	if (json_object_get(vpc->json, "mtu") == NULL)
		json_object_set_new(vpc->json, "mtu",
			json_integer(model->underlay_mtu != 0 ? model->underlay_mtu : MTU_UNKNOWN));
	if (s->has_vni)
		return true;
	if (!range_set_lowest_free(&model->vnis, model->vni_first, model->vni_last, &vni))
		return rules_exhausted(error, "/vni", "vni", "no VNI is left in %llu..%llu",
			(unsigned long long)model->vni_first, (unsigned long long)model->vni_last);
	json_object_set_new(vpc->json, "vni", json_integer((json_int_t)vni));
	range_set_add(&model->vnis, vni, vni);
	s->has_vni = true;
	return true;
}

static void vpc_release(struct model *model, struct object *vpc)
{
	struct vpc_state *s = vpc->state;
	uint32_t vni = vpc_vni(vpc);

	if (s->has_vni)
		range_set_remove(&model->vnis, vni, vni);
	s->has_vni = false;
}

const struct kind_rules rules_vpc = {
	.kind = "vpc",
	.state_size = sizeof(struct vpc_state),
	.init = vpc_init,
	.fini = vpc_fini,
	.claim = vpc_claim,
	.choose = vpc_choose,
	.release = vpc_release,
	.blamed = "/cidrs",
};
