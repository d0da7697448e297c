/* SPDX-License-Identifier: Apache-2.0 */
#include "vpc/item.h"

#include <errno.h>
#include <stdlib.h>

#include "base/ip_text.h"
#include "vpc/vpc.h"

int item_no_memory(struct state_error *err)
{
	err->exhausted = true;
	return state_fail(err, -ENOMEM, "out of memory");
}

const char *item_text(const json_t *item, unsigned int column)
{
	const char *text = json_string_value(json_array_get(item, column));

	return text != NULL ? text : "";
}

int item_name(const json_t *item, unsigned int column, char *name, struct state_error *err)
{
	const char *text = item_text(item, column);
	size_t size = strlen(text) + 1;

	if (size > PORT_NAME_MAX)
		return state_fail(err, -EINVAL, "name `%s` is too long", text);
	memcpy(name, text, size);
	return 0;
}

uint64_t item_uint(const json_t *item, unsigned int column)
{
	return (uint64_t)json_integer_value(json_array_get(item, column));
}

bool item_bool(const json_t *item, unsigned int column)
{
	return json_is_true(json_array_get(item, column));
}

int item_addr(
	const json_t *item, unsigned int column, struct ip_addr *addr, struct state_error *err)
{
	const char *text = item_text(item, column);

	*addr = (struct ip_addr){0};
	if (*text != '\0' && !ip_addr_parse(text, addr))
		return state_fail(err, -EINVAL, "`%s` is no address", text);
	return 0;
}

int item_prefix(
	const json_t *item, unsigned int column, struct ip_prefix *prefix, struct state_error *err)
{
	const char *text = item_text(item, column);

	*prefix = (struct ip_prefix){.len = IP_PREFIX_NONE};
	if (*text != '\0' && !ip_prefix_parse(text, prefix))
		return state_fail(err, -EINVAL, "`%s` is no prefix", text);
	return 0;
}

int item_prefixes(const json_t *item, unsigned int column, struct ip_prefix **prefixes, uint32_t *n,
	struct state_error *err)
{
	const json_t *list = json_array_get(item, column), *entry;
	size_t i;

	*n = 0;
	*prefixes = NULL;
	if (json_array_size(list) == 0)
		return 0;
	*prefixes = calloc(json_array_size(list), sizeof(**prefixes));
	if (*prefixes == NULL)
		return item_no_memory(err);
	json_array_foreach (list, i, entry)
		if (!ip_prefix_parse(json_string_value(entry), &(*prefixes)[(*n)++]))
			return state_fail(
				err, -EINVAL, "`%s` is no prefix", json_string_value(entry));
	return 0;
}

struct rte_ether_addr item_mac(const json_t *item, unsigned int column)
{
	struct rte_ether_addr mac = {0};
	struct net_mac parsed;

	if (net_mac_parse(item_text(item, column), &parsed))
		memcpy(mac.addr_bytes, parsed.bytes, sizeof(mac.addr_bytes));
	return mac;
}
