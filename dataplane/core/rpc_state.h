/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_RPC_STATE_H
#define CORE_RPC_STATE_H
/* Southbound transactions: hello, state.*. */
struct jsonrpc_conn;

/* The connection is gone: its open transaction with it. */
void rpc_state_closed(struct jsonrpc_conn *conn);

#endif
