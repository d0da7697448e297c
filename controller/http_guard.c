/* SPDX-License-Identifier: Apache-2.0 */
#include "http_guard.h"

#include "lib/log.h"
#include "lib/net.h"
#include "mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define HOST_MAX 256
#define TOKEN_MIN 8

/* ---- Host ---- */

/* The name without port and brackets; false when there is none. */
static bool host_name(const char *host, char *name, size_t size)
{
	const char *end = host + strlen(host);

	if (*host == '[') {
		end = strchr(++host, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
	} else if (strchr(host, ':') != NULL) {
		end = strchr(host, ':');
	}
	if (end == host || (size_t)(end - host) >= size)
		return false;
	memcpy(name, host, (size_t)(end - host));
	name[end - host] = '\0';
	return true;
}

static bool is_local_name(const char *name)
{
	struct net_addr addr;

	return strcasecmp(name, "localhost") == 0 ||
	       (net_addr_parse(name, &addr) && net_addr_is_loopback(&addr));
}

bool http_host_is_ours(const char *host, const char *listen)
{
	struct net_addr addr, own;
	char name[HOST_MAX];

	if (host == NULL || !host_name(host, name, sizeof(name)))
		return false;
	if (is_local_name(name) || strcasecmp(name, listen) == 0)
		return true;
	if (!net_addr_parse(name, &addr) || !net_addr_parse(listen, &own))
		return false;
	return net_addr_is_unspecified(&own) || net_addr_equal(&addr, &own);
}

/* ---- Tokens ---- */

struct token {
	char *name, *secret;
};

struct http_tokens {
	struct token *list;
	size_t count, room;
};

static int take_line(struct http_tokens *tokens, char *line, const char *path, unsigned number)
{
	char *save = NULL, *name = strtok_r(line, " \t\r\n", &save);
	char *secret = strtok_r(NULL, " \t\r\n", &save);

	if (name == NULL || name[0] == '#')
		return 0;
	if (secret == NULL || strlen(secret) < TOKEN_MIN ||
		strtok_r(NULL, " \t\r\n", &save) != NULL) {
		log_error("a line of the token file is not NAME TOKEN (of at least 8 characters)",
			LOG_STR("path", path), LOG_UINT("line", number));
		return -EINVAL;
	}
	MEM_GROW(tokens->list, tokens->count, tokens->room);
	tokens->list[tokens->count++] =
		(struct token){.name = mem_strdup(name), .secret = mem_strdup(secret)};
	return 0;
}

static int read_lines(struct http_tokens *tokens, FILE *file, const char *path)
{
	char line[1024];
	int rc = 0;

	for (unsigned number = 1; rc == 0 && fgets(line, sizeof(line), file) != NULL; number++)
		rc = take_line(tokens, line, path, number);
	explicit_bzero(line, sizeof(line));
	return rc;
}

int http_tokens_load(struct http_tokens **result, const char *path)
{
	struct http_tokens *tokens = *result = mem_calloc(1, sizeof(*tokens));
	struct stat st;
	FILE *file;
	int rc;

	if (path == NULL)
		return 0;
	file = fopen(path, "re");
	if (file == NULL) {
		rc = -errno;
		log_error("cannot read the token file", LOG_STR("path", path), LOG_ERRNO(rc));
		return rc;
	}
	if (fstat(fileno(file), &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		log_warn("everybody on this host can read or change the tokens",
			LOG_STR("path", path));
	rc = read_lines(tokens, file, path);
	fclose(file);
	return rc;
}

void http_tokens_free(struct http_tokens *tokens)
{
	if (tokens == NULL)
		return;
	for (size_t i = 0; i < tokens->count; i++) {
		explicit_bzero(tokens->list[i].secret, strlen(tokens->list[i].secret));
		free(tokens->list[i].secret);
		free(tokens->list[i].name);
	}
	free(tokens->list);
	free(tokens);
}

/* Looks at every byte of the given one, whatever differs. */
static bool same(const char *given, const char *secret)
{
	size_t n = strlen(given), m = strlen(secret);
	unsigned char differs = n != m;

	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(given[i] ^ secret[i % m]);
	return differs == 0;
}

bool http_tokens_check(
	const struct http_tokens *tokens, const char *authorization, char *name, size_t size)
{
	const char *found = NULL;

	if (strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	for (size_t i = 0; i < tokens->count; i++)
		if (same(authorization + 7, tokens->list[i].secret))
			found = tokens->list[i].name;
	if (found != NULL)
		snprintf(name, size, "%s", found);
	return found != NULL;
}
