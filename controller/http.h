/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_HTTP_H
#define CONTROLLER_HTTP_H
/* GET /metrics, /openrpc.json, /healthz; POST /rpc. */
struct controller;
struct http;

/* Listens at config->http and sets c->http. 0 or -errno, logged. */
int http_start(struct controller *c);
void http_stop(struct http *http);

#endif
