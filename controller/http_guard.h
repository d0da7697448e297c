/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_HTTP_GUARD_H
#define CONTROLLER_HTTP_GUARD_H
/* Who may use the HTTP server: names in Host, tokens. Pure, apart from reading the token file. */
#include <stdbool.h>
#include <stddef.h>

/*
 * Is a Host header (with or without port) one that a client of ours would send: the address we
 * listen on, an address literal when we listen on all, or a name of this very host's loopback?
 * A page that a browser fetched under another name must not reach us (DNS rebinding).
 */
bool http_host_is_ours(const char *host, const char *listen);

struct http_tokens;

/* Lines "NAME TOKEN"; empty ones and those with # are skipped. path NULL: none. 0 or -errno, logged. */
int http_tokens_load(struct http_tokens **tokens, const char *path);
void http_tokens_free(struct http_tokens *tokens);
/*
 * Does the Authorization header bear a known token? Its name goes to `name`. Takes equally long whatever
 * the token has in common with a known one.
 */
bool http_tokens_check(
	const struct http_tokens *tokens, const char *authorization, char *name, size_t size);

#endif
