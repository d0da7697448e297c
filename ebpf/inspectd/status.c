/* SPDX-License-Identifier: Apache-2.0 */
/* inspectd.status, the one method of our own socket. */
#include "inspectd.h"

static json_t *attached(const struct attachment *a)
{
	return json_pack("{s:s, s:s, s:b}", "ifname", a->ifname, "mode",
		a->ifindex != 0 ? a->mode : "none", "attached", a->ifindex != 0);
}

static json_t *counters(const struct inspectd *d)
{
	static const char *const names[] = {
#define X(symbol, name, help) [symbol] = name,
		SIGHT_COUNTERS_X(X)
#undef X
	};
	json_t *all = json_object();

	for (unsigned i = 0; i < SIGHT_COUNTERS; i++)
		json_object_set_new(
			all, names[i], json_integer((json_int_t)programs_counter(&d->programs, i)));
	return all;
}

static json_t *alerts(const struct inspectd *d)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "raised",
		(json_int_t)d->alerts.raised, "repeated", (json_int_t)d->alerts.repeated,
		"answered", (json_int_t)d->alerts.answered, "limited",
		(json_int_t)d->alerts.limited, "taken", (json_int_t)d->link.sent, "refused",
		(json_int_t)d->link.refused, "lost", (json_int_t)d->link.lost);
}

json_t *inspectd_status(const struct inspectd *d)
{
	json_t *interfaces = json_array();

	if (d->feed.ifname[0] != '\0')
		json_array_append_new(interfaces, attached(&d->feed));
	for (size_t i = 0; i < d->port_count; i++)
		json_array_append_new(interfaces, attached(&d->ports[i]));
	return json_pack("{s:s, s:b, s:I, s:I, s:i, s:o, s:o, s:o}", "version", VPC_VERSION,
		"dataplane", link_is_up(&d->link), "revision", (json_int_t)d->rules.revision,
		"vpcs", (json_int_t)json_object_size(d->rules.vpcs), "sampling",
		1 << d->programs.state->shift, "interfaces", interfaces, "counters", counters(d),
		"alerts", alerts(d));
}
