/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_WATCH_H
#define CONTROLLER_WATCH_H
/* Connections that are told of every change: `event {op, kind, object, revision}`. */
#include "txn.h"

struct controller;
struct jsonrpc_conn;
struct watches;

struct watches *watches_new(void);
void watches_free(struct watches *watches);

/* For jsonrpc_server_options.closed; ctx is the controller. */
void watch_closed(struct jsonrpc_conn *conn, void *ctx);
/* Notes what watchers will be shown: before another transaction changes the objects again. */
void watch_prepare(struct controller *c, struct txn *txn);
void watch_tell(struct controller *c, const struct change *change);

#endif
