/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a rule. A group may have 100,000: this is read and written without any allocation. */
#include "southbound.h"

#include <string.h>

static const char *const remote_names[] = {
	[SB_REMOTE_ANY] = "any",
	[SB_REMOTE_CIDR] = "cidr",
	[SB_REMOTE_GROUP] = "group",
	[SB_REMOTE_LIST] = "list",
};

/* A number and a space; where the text goes on. */
static char *put_number(char *at, int value)
{
	char digits[12];
	int n = 0;

	if (value < 0) {
		*at++ = '-';
		value = -value;
	}
	do
		digits[n++] = (char)('0' + value % 10);
	while ((value /= 10) > 0);
	while (n > 0)
		*at++ = digits[--n];
	*at++ = ' ';
	return at;
}

char *sb_rule_format(const struct sb_rule *rule, char *text)
{
	char *at = text;

	*at++ = rule->ingress ? 'i' : 'e';
	*at++ = ' ';
	*at++ = rule->allow ? 'a' : 'd';
	*at++ = ' ';
	at = put_number(at, rule->priority);
	at = put_number(at, rule->protocol);
	at = put_number(at, rule->port_from);
	at = put_number(at, rule->port_to);
	at = put_number(at, rule->icmp_type);
	at = put_number(at, rule->icmp_code);
	at = stpcpy(at, remote_names[rule->remote]);
	if (rule->remote != SB_REMOTE_ANY) {
		*at++ = ' ';
		at = stpcpy(at, rule->name);
	}
	*at = '\0';
	return text;
}

/* A number and the space behind it. */
static bool take_number(const char **at, int min, int max, int *number)
{
	const char *p = *at;
	bool negative = *p == '-';
	int value = 0, digits = 0;

	for (p += negative; *p >= '0' && *p <= '9' && digits < 6; p++, digits++)
		value = value * 10 + (*p - '0');
	if (negative)
		value = -value;
	if (digits == 0 || *p != ' ' || value < min || value > max)
		return false;
	*at = p + 1;
	*number = value;
	return true;
}

/* One of two letters and the space behind it. */
static bool take_letter(const char **at, char yes, char no, bool *is_yes)
{
	const char *p = *at;

	if ((p[0] != yes && p[0] != no) || p[1] != ' ')
		return false;
	*is_yes = p[0] == yes;
	*at = p + 2;
	return true;
}

static bool take_remote(const char *at, struct sb_rule *rule)
{
	size_t len = strcspn(at, " ");

	for (size_t i = 0; i < sizeof(remote_names) / sizeof(remote_names[0]); i++) {
		if (strlen(remote_names[i]) != len || memcmp(remote_names[i], at, len) != 0)
			continue;
		rule->remote = (enum sb_remote)i;
		rule->name = at[len] == ' ' ? at + len + 1 : at + len;
		/* A name for all but "any", and nothing behind it. */
		return (rule->remote == SB_REMOTE_ANY) == (at[len] == '\0') &&
		       (rule->remote == SB_REMOTE_ANY ||
			       (rule->name[0] != '\0' && strchr(rule->name, ' ') == NULL));
	}
	return false;
}

bool sb_rule_parse(const char *text, struct sb_rule *rule)
{
	return text != NULL && take_letter(&text, 'i', 'e', &rule->ingress) &&
	       take_letter(&text, 'a', 'd', &rule->allow) &&
	       take_number(&text, 1, 65535, &rule->priority) &&
	       take_number(&text, -1, 255, &rule->protocol) &&
	       take_number(&text, 0, 65535, &rule->port_from) &&
	       take_number(&text, 0, 65535, &rule->port_to) &&
	       take_number(&text, -1, 255, &rule->icmp_type) &&
	       take_number(&text, -1, 255, &rule->icmp_code) && take_remote(text, rule);
}
