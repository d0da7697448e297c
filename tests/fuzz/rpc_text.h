/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_RPC_TEXT_H
#define TESTS_FUZZ_RPC_TEXT_H
/* Whatever text a client may send to a JSON-RPC server of ours, and what the server makes of it. */
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct event_base;
struct jsonrpc_server;

/*
 * A connection of its own sends the text and no more. Returns the messages that came back until the server closed, or
 * until it had nothing more to say for a while (it waits for something) and the client went away. Dies (abort) when a
 * message is not one of JSON-RPC 2.0, or the server does not let go of the connection.
 */
json_t *rpc_text_play(
	struct jsonrpc_server *server, struct event_base *base, const char *text, size_t len);

/* Is each line of the text a request that gets an answer, and no batch? */
bool rpc_text_is_requests(const char *text, size_t len);
/* Messages with `result`. */
unsigned rpc_text_results(const json_t *messages);
/* Did any answer say that code? */
bool rpc_text_has_error(const json_t *messages, int code);

/* Says why and dies. */
_Noreturn void rpc_text_die(const char *why, const json_t *about);

#endif
