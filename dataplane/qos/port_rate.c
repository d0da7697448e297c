/* SPDX-License-Identifier: Apache-2.0 */
/* `port.rate` as shapers of its two directions. */
#include <errno.h>
#include <jansson.h>

#include "core/node.h"
#include "qos/qos.h"

#define BYTES_PER_MBIT 125000u

enum { INGRESS, EGRESS };

static uint64_t value(const struct json_t *rate, const char *field)
{
	json_int_t v = json_integer_value(json_object_get(rate, field));

	return v > 0 ? (uint64_t)v : 0;
}

static int want(qos_id_t *id, const struct qos_rate *rate, qos_id_t old, uint32_t owner)
{
	*id = QOS_NONE;
	if (!qos_rate_limits(rate))
		return 0;
	*id = old != QOS_NONE ? old : qos_shaper_new(rate, owner);
	return *id != QOS_NONE ? 0 : -errno;
}

int qos_port_prepare(struct qos_port_change *c, const struct json_t *rate,
	const struct qos_port *old, uint32_t port_index)
{
	uint32_t owner = drop_owner_port(port_index);
	int rc;

	c->old = old != NULL ? *old : (struct qos_port){QOS_NONE, QOS_NONE};
	c->now = (struct qos_port){QOS_NONE, QOS_NONE};
	c->rate[INGRESS] = (struct qos_rate){
		value(rate, "ingress_mbps") * BYTES_PER_MBIT, value(rate, "ingress_pps")};
	c->rate[EGRESS] = (struct qos_rate){
		value(rate, "egress_mbps") * BYTES_PER_MBIT, value(rate, "egress_pps")};
	rc = want(&c->now.ingress, &c->rate[INGRESS], c->old.ingress, owner);
	if (rc == 0)
		rc = want(&c->now.egress, &c->rate[EGRESS], c->old.egress, owner);
	if (rc != 0)
		qos_port_abort(c);
	return rc;
}

void qos_port_commit(const struct qos_port_change *c)
{
	qos_shaper_set(c->now.ingress, &c->rate[INGRESS]);
	qos_shaper_set(c->now.egress, &c->rate[EGRESS]);
}

static void free_unless(qos_id_t id, qos_id_t kept)
{
	if (id != kept)
		qos_shaper_free(id);
}

void qos_port_release(const struct qos_port_change *c)
{
	free_unless(c->old.ingress, c->now.ingress);
	free_unless(c->old.egress, c->now.egress);
}

void qos_port_abort(const struct qos_port_change *c)
{
	free_unless(c->now.ingress, c->old.ingress);
	free_unless(c->now.egress, c->old.egress);
}
