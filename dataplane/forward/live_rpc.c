/* SPDX-License-Identifier: Apache-2.0 */
/* live.arm, live.send, live.take, live.end: a probe goes the real way (observe/live.h), and each node says how it ended there.
 *
 *	arm   expect it, for as long as it can be on its way
 *	send  expect it, send it as from a port, answer with its end here
 *	take  answer with its end here, which may be before or after this is asked
 *	end   it is over
 *
 * The session that it has made is removed once its end is known; for a while longer errors about it are kept from its sender.
 */
#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "core/control.h"
#include "core/flow_trace.h"
#include "core/rcu.h"
#include "core/rpc.h"
#include "external/external.h"
#include "forward/explain.h"
#include "forward/verdict.h"
#include "port/port.h"
#include "underlay/underlay.h"
#include "vpc/vpc.h"

#define TICK_MS 5
#define ANSWER_TICKS 300 /* 1.5 s: then it is lost */
#define LIFE_TICKS 1000  /* 5 s, if nobody says that it is over; */
#define LATE_TICKS 20    /* then 100 ms for what is still on its way */
#define PROBES 16
#define TTL 64

static struct probe {
	bool used;
	int handle;
	uint8_t token[LIVE_TOKEN];
	struct jsonrpc_call *call; /* who waits for the end */
	unsigned int age, waited;  /* ticks */
	bool seen;                 /* at the last tick: a tunnel may have refused it since */
	bool ended;                /* answered, its session is gone */
	bool has_flow;
	struct flow flow; /* as it arrives here */
} probes[PROBES];

static struct event *timer;

/* ---- What is told ---- */

static json_t *out_of(const struct live_fate *fate)
{
	const struct external *ext;
	const struct port *p;
	const struct vtep *v;

	if (fate->end == LIVE_TUNNEL) {
		v = vtep_get(loc_index(fate->tunnel));
		return json_pack("{s:s, s:I}", "vtep", v != NULL ? v->name : "", "vni",
			(json_int_t)fate->vni);
	}
	p = port_get(fate->port);
	for (uint32_t i = 0; (ext = external_at(i)) != NULL; i++)
		if (ext->port == p)
			return json_pack("{s:s}", "external", ext->name);
	return json_pack("{s:s}", "port", p != NULL ? p->name : "");
}

static json_t *fate_json(const struct live_fate *fate)
{
	bool dropped = fate->end == LIVE_DROPPED;

	if (fate->end == LIVE_NOTHING)
		return json_pack(
			"{s:s, s:n, s:n, s:n}", "verdict", "lost", "reason", "out", "packet");
	return json_pack("{s:s, s:s?, s:o, s:o}", "verdict", dropped ? "drop" : "forward", "reason",
		dropped ? drop_reason_name(fate->reason) : NULL, "out",
		dropped ? json_null() : out_of(fate), "packet",
		live_frame_json(fate->frame, fate->len));
}

/* ---- Its session ---- */

static uint32_t session_of(const struct flow *f)
{
	const struct session_key key = verdict_key(f);

	return session_lookup(&key, session_hash(&key), &f->src, &f->dst);
}

static void remove_session(struct probe *p)
{
	uint32_t ref;

	rcu_read_enter();
	ref = p->has_flow ? session_of(&p->flow) : SESSION_NONE;
	if (ref != SESSION_NONE) {
		ref >>= 1;
		(void)session_remove_bulk(&ref, 1);
	}
	rcu_read_leave();
}

/* ---- Waiting ---- */

static void answer(struct probe *p, const struct live_fate *fate)
{
	struct jsonrpc_call *call = p->call;

	p->call = NULL;
	p->ended = true;
	rcu_read_enter();
	jsonrpc_reply(call, fate_json(fate));
	rcu_read_leave();
	remove_session(p);
}

static void forget(struct probe *p)
{
	live_disarm(p->handle);
	*p = (struct probe){.used = false};
}

static void turn(struct probe *p)
{
	struct live_fate fate;
	enum live_end end;

	p->age++;
	end = live_look(p->handle, &fate);
	if (p->call != NULL && (p->seen || ++p->waited > ANSWER_TICKS))
		answer(p, &fate);
	p->seen = end != LIVE_NOTHING;
	if (p->age > LIFE_TICKS && p->call == NULL)
		forget(p);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
	bool any = false;

	(void)fd;
	(void)what;
	(void)arg;
	for (unsigned int i = 0; i < PROBES; i++) {
		if (probes[i].used)
			turn(&probes[i]);
		any = any || probes[i].used;
	}
	if (!any)
		event_del(timer);
}

static bool start_timer(void)
{
	const struct timeval period = {.tv_usec = TICK_MS * 1000};

	if (timer == NULL)
		timer = event_new(rpc_base(), -1, EV_PERSIST, tick, NULL);
	return timer != NULL && event_add(timer, &period) == 0;
}

/* ---- Calls ---- */

static bool read_token(const json_t *params, uint8_t token[LIVE_TOKEN])
{
	const char *text = json_string_value(json_object_get(params, "token"));

	if (text == NULL || strlen(text) != 2 * LIVE_TOKEN ||
		strspn(text, "0123456789abcdef") != 2 * LIVE_TOKEN)
		return false;
	for (unsigned int i = 0; i < LIVE_TOKEN; i++) {
		const char *digits = "0123456789abcdef";

		token[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
				     (strchr(digits, text[2 * i + 1]) - digits));
	}
	return true;
}

/* The probe of that token, which is made if there is none. NULL: answered. */
static struct probe *probe_of(struct jsonrpc_call *call, const json_t *params)
{
	bool deliver = json_is_true(json_object_get(params, "deliver"));
	struct probe *p = NULL;
	uint8_t token[LIVE_TOKEN];
	int handle;

	if (!read_token(params, token)) {
		rpc_invalid(call, "/token", "is not %d hexadecimal digits", 2 * LIVE_TOKEN);
		return NULL;
	}
	for (unsigned int i = 0; i < PROBES; i++) {
		if (probes[i].used && memcmp(probes[i].token, token, LIVE_TOKEN) == 0)
			return &probes[i];
		if (!probes[i].used && p == NULL)
			p = &probes[i];
	}
	handle = p != NULL ? live_arm(token, deliver) : -EBUSY;
	if (handle < 0 || !start_timer()) {
		if (handle >= 0)
			live_disarm(handle);
		jsonrpc_fail(call, ERROR_EXHAUSTED, "too many probes are on their way", NULL);
		return NULL;
	}
	*p = (struct probe){.used = true, .handle = handle};
	memcpy(p->token, token, LIVE_TOKEN);
	return p;
}

static void arm(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	(void)ctx;
	if (probe_of(call, params) != NULL)
		jsonrpc_reply(call, json_object());
}
RPC_METHOD(arm_method, "live.arm", arm)

static void end(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	uint8_t token[LIVE_TOKEN];

	(void)ctx;
	if (!read_token(params, token)) {
		rpc_invalid(call, "/token", "is not %d hexadecimal digits", 2 * LIVE_TOKEN);
		return;
	}
	for (unsigned int i = 0; i < PROBES; i++)
		if (probes[i].used && memcmp(probes[i].token, token, LIVE_TOKEN) == 0 &&
			probes[i].age < LIFE_TICKS - LATE_TICKS)
			probes[i].age = LIFE_TICKS - LATE_TICKS;
	jsonrpc_reply(call, json_object());
}
RPC_METHOD(end_method, "live.end", end)

static bool read_flow(struct jsonrpc_call *call, json_t *params, struct flow *f)
{
	return explain_ingress(call, json_object_get(params, "in"), f) &&
	       explain_packet(call, json_object_get(params, "packet"), f);
}

static void take(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	struct flow f = {.in = LOC_NONE};
	struct probe *p;

	(void)ctx;
	rcu_read_enter();
	p = read_flow(call, params, &f) ? probe_of(call, params) : NULL;
	rcu_read_leave();
	if (p == NULL)
		return;
	if (p->call != NULL || p->ended) {
		jsonrpc_fail(call, ERROR_CONFLICT, "somebody has asked for it already", NULL);
		return;
	}
	p->flow = f;
	p->has_flow = true;
	p->call = call;
}
RPC_METHOD(take_method, "live.take", take)

/* May it begin here? False: answered. */
static bool may_send(struct jsonrpc_call *call, struct flow *f)
{
	const struct port *in = loc_is_port(f->in) ? port_get(loc_index(f->in)) : NULL;
	struct flow_trace trace = {.n = 0};

	f->trace = &trace;
	if (in == NULL || in->role != PORT_TENANT) {
		rpc_invalid(call, "/in", "a probe begins at a port");
		return false;
	}
	if (!explain_port_carries(f, in)) {
		jsonrpc_reply(call, json_pack("{s:s, s:s, s:n, s:n}", "verdict", "drop", "reason",
					    drop_reason_name(f->reason), "out", "packet"));
		return false;
	}
	f->trace = NULL;
	if (session_of(f) == SESSION_NONE)
		return true;
	jsonrpc_fail(call, ERROR_CONFLICT,
		"a flow with these addresses and ports is running: take another source_port", NULL);
	return false;
}

static int inject(const struct probe *p, uint8_t ttl)
{
	uint8_t frame[LIVE_FRAME_MAX];
	uint16_t len = live_frame_make(&p->flow, ttl, p->token, frame);

	return control_inject(p->flow.in, PORT_TENANT, p->flow.vpc_index, frame, len);
}

static void send_it(struct jsonrpc_call *call, json_t *params, void *ctx)
{
	const json_t *ttl = json_object_get(json_object_get(params, "packet"), "ttl");
	struct flow f = {.in = LOC_NONE};
	struct probe *p;

	(void)ctx;
	rcu_read_enter();
	p = read_flow(call, params, &f) && may_send(call, &f) ? probe_of(call, params) : NULL;
	rcu_read_leave();
	if (p == NULL)
		return;
	if (p->call != NULL || p->has_flow) {
		jsonrpc_fail(call, ERROR_CONFLICT, "it has been sent already", NULL);
		return;
	}
	p->flow = f;
	p->has_flow = true;
	if (inject(p, json_is_integer(ttl) ? (uint8_t)json_integer_value(ttl) : TTL) != 0) {
		jsonrpc_fail(call, ERROR_UNAVAILABLE, "the node has no room for it now", NULL);
		forget(p);
		return;
	}
	p->call = call;
}
RPC_METHOD(send_method, "live.send", send_it)
