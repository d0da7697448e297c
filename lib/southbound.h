/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_SOUTHBOUND_H
#define LIB_SOUTHBOUND_H
/* The language between controller and dataplane: what a node is told, as *items*.
 *
 * An item is a JSON array [kind, key columns..., value columns...]; the table in southbound.c names and types every
 * column. Both sides check against it. An item is identified by (kind, key columns); a `put` replaces it whole.
 *
 * Methods of the dataplane's socket (JSON-RPC 2.0, lib/jsonrpc_server.h):
 *   hello {api_version: 1, controller, node} → {api_version, node, version, features: [..], items, revision, digest: [256 x "hex64"], capacity,
 *     underlay: {mtu, family: 4|6} | absent, externals: [{name, families: [4, 6], addresses}]}   `node` that differs from the one asked for: the controller hangs up
 *   state.keys {buckets: [n..]} → {items: [[kind, key..., "hash"], …]}   (cut in pages: limit, cursor)
 *   state.begin {} → {transaction}
 *   state.put {transaction, items: [[..], ..]}   at most 1000 items a call
 *   state.del {transaction, keys: [[kind, key...], ..]}
 *   state.commit {transaction, revision} → {revision, changed}
 *   state.abort {transaction}
 *   A put, del or commit that fails aborts the transaction: what follows for it (the controller sends all of them without waiting) fails too.
 *   errors: `invalid` (1) with data.item (the whole item) and data.reason; `exhausted` (6) with data.what
 *   status {} → the `nodes[]` entry of the northbound status, without name and connected
 *   perf {milliseconds} → {tsc_hz, items: [{worker, step, calls, packets, packets_per_call, cycles_per_packet, share_percent}]}   once that time is over
 *   buffers {} → {used}   packet buffers, those that drivers hold ready among them
 *   tunnel.list {} → {items: [{peer, address, state, rtt_us, path_mtu, since}]}, as `tunnels` in status
 *   port.status {names: [..] | omitted} → {items: [{name, state, reason, counters}]}
 *   eip.status {names: [..] | omitted} → {items: [{name, state: active|inactive, external | reason}]}   of those whose gateway it is
 *   nat.status {names: [..] | omitted} → {items: [{nat_gateway, addresses: [{eip, address, protocol, ports_used, ports_total, blocks_used,
 *     blocks_total, quarantined}], sessions, forwarded (of them by DNAT), refused, rate_per_s}]}   of gateways that are here
 *   mirror.status {names: [..] | omitted} → {items: [{mirror, reason, ports, packets, bytes, lost}]}   reason: why copies do not reach
 *     the target now, ""; ports: how many it looks at. Also of mirrors that have their target, but no source here
 *   hook.status {} → {items: [{hook, state: attached|detached|error, reason, jit, ports, runs, dropped, sampled, cycles, mean_cycles}]}
 *   flow_log.status {} → {items: [{name, records, lost, reason}]}   of logs that are here; reason: what is wrong with the collector, or ""
 *   usage.read {done: [instance..]} → {items, ended: [[kind, name, instance, revision, rx_packets, rx_bytes, tx_packets, tx_bytes]..]}
 *     what objects have carried (dataplane/core/usage.h); of those that have ended, the ones in `done` are not told again
 *   session.list, session.top, session.flush, drops.list: params and results of the northbound methods, for this node, VPCs by VNI and name
 *   Sessions of a port that moves to another node (texts: dataplane/session/record.h):
 *   session.keep {port} → {}   to the old node while the port is there: its sessions are to outlive it, for some seconds
 *   session.export {port, cursor} → {items: ["..", ..], cursor: string|null}   once the port is gone from there; after the last page they go
 *   session.import {port, items: ["..", ..]} → {imported, present, refused}   to the new node, which has the port; at most 1000 a call
 *   session.recover {port} → {}   to the new node: there are none to be had, TCP connections are picked up in their middle for recover_s
 *   Flows over two nodes that a change made illegal (texts: dataplane/forward/cut.h):
 *   session.end {node, items: ["..", ..]} → {ended}   to the one: `node`, where their other end is, has cut these; at most 500
 *   explain {in: {port} | {vtep, vni} | {external}, packet: {smac, dmac, source, destination, protocol, source_port, port, icmp_type, icmp_code, ttl}}
 *     → {verdict, reason, out: {port} | {vtep, vni} | {external} | {gateway: subnet} | {node} | null, packet: {before, after: as above | null}, steps: [..]}
 *   capture.start {capture, scope: port|vpc|node|all, name, vni, drops, filter, snaplen, count, rewritten: before|after|both, path} → {}
 *     `capture` is the controller's number for it; it ends with the connection, by `count` or by
 *   capture.stop {capture} → {}   after the last capture.data
 *   Inspection (vpc-inspectd asks the dataplane of its host; dataplane/inspect/inspect.h):
 *   inspect.get {} → {instance, revision, interface, sample, packets, lost, vpcs: [{vni, vpc, prefixes, detectors: [{inspection, type, threshold, window_s}], lists: [name]}],
 *     indicators: [{list, entries}]}; then notifications inspect.changed {}
 *   inspect.alert {vni, inspection, detector, instance, port_index | port, source, targets, count, evidence: {flow, packets}} → {}   passed on as the notification
 *     inspect.alert {vni, inspection, detector, port, source, targets, count, evidence}; port "": not here
 *   Probes (dataplane/forward/live_rpc.c), known by a token of 32 hexadecimal digits:
 *   live.arm {token, deliver} → {}   expect it, for 5 s at most
 *   live.send {token, deliver, in: {port}, packet} → {verdict: forward|drop|lost, reason, out: as above, packet: as above | null}   once it has ended here
 *   live.take {token, deliver, in, packet} → the same   to the node that it has come to
 *   live.end {token} → {}   it is over
 *   notifications from the dataplane: event {severity, kind, name, reason, message};
 *     session.cut {node, items: ["..", ..]}   flows with an end on `node` that we have cut, for its session.end;
 *     capture.data {capture, data: base64 of pcapng blocks, interfaces numbered from 0}, capture.end {capture}   by its count
 *
 * A transaction belongs to its connection and is aborted when that closes. One at a time may commit; staging
 * may overlap.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_type {
	SB_STRING,
	SB_UINT,
	SB_BOOL,
	SB_ADDRESS, /* "10.0.0.1" or "fd00::1" */
	SB_PREFIX,  /* "10.0.0.0/8" */
	SB_MAC,
	SB_STRINGS,   /* list of strings */
	SB_ADDRESSES, /* list of addresses */
	SB_PREFIXES,  /* list of addresses or prefixes */
	SB_UINTS,
	SB_TEXT,   /* a string that may be long */
	SB_OBJECT, /* checked by the owner of the kind */
	SB_RULES,  /* list of texts, see struct sb_rule */
};

struct sb_column {
	const char *name;
	enum sb_type type;
	bool nullable;
	const char *ref; /* kind whose single-column key this value names; lists: each entry */
	const char *help;
};

#define SB_COLUMNS_MAX 16

struct sb_kind {
	const char *name;
	unsigned int n_key; /* leading columns that are the key (after the kind's name) */
	unsigned int n_columns;
	struct sb_column columns[SB_COLUMNS_MAX];
	const char *help;
};

extern const struct sb_kind sb_kinds[];
extern const size_t sb_kind_count;

const struct sb_kind *sb_kind_find(const char *name);

/*
 * A group's list of rules is the concatenation of its `rules` items by ascending part number. A rule is one text, so
 * that a large group is read and compared quickly:
 *
 *	DIRECTION ACTION PRIORITY PROTOCOL PORT_FROM PORT_TO ICMP_TYPE ICMP_CODE REMOTE [NAME]
 *	i a 1000 6 443 443 -1 -1 cidr 10.0.0.0/8
 *
 * DIRECTION i or e, ACTION a or d, PROTOCOL and the ICMP fields -1 for any, REMOTE any, cidr, group or list
 * (of prefixes), of which all but any have a NAME.
 */
enum sb_remote { SB_REMOTE_ANY, SB_REMOTE_CIDR, SB_REMOTE_GROUP, SB_REMOTE_LIST };

struct sb_rule {
	bool ingress, allow;
	int priority;
	int protocol; /* -1: any */
	int port_from, port_to;
	int icmp_type, icmp_code; /* -1: any */
	enum sb_remote remote;
	const char *name; /* inside the text; "" for any */
};

/* A group's list is cut into items of at most so many rules, see kind `rules`. */
#define SB_PART_RULES 128

/* Room for a rule's text, whose name is that of an object (at most 63 characters) or a CIDR. */
#define SB_RULE_TEXT 192

/* Returns `text`, of SB_RULE_TEXT bytes. */
char *sb_rule_format(const struct sb_rule *rule, char *text);
/* Everything but the form of a CIDR is checked. */
bool sb_rule_parse(const char *text, struct sb_rule *rule);

/* Checks an item (or, with `key_only`, a key array) by type. 0, or -EINVAL with the reason. */
int sb_item_check(const json_t *item, bool key_only, char *reason, size_t size);

/* "kind\x1fkey\x1fkey": the item's identity, malloc'd. NULL when out of memory. */
char *sb_item_key(const json_t *item_or_key);
/* The same into a buffer (SB_KEY_MAX always suffices for a checked item); its length, or 0. */
#define SB_KEY_MAX 640
size_t sb_item_key_write(const json_t *item_or_key, char *buf, size_t size);
/* Identity of what a single-column reference names: "kind\x1fvalue". Its length, or 0. */
size_t sb_ref_key_write(const char *kind, const json_t *value, char *buf, size_t size);

/* 64-bit hash of an item's canonical text; equal on both sides. */
uint64_t sb_item_hash(const json_t *item);
/* The same of a text that is canonical already: json_dumps(item, SB_CANONICAL). */
#define SB_CANONICAL (JSON_COMPACT | JSON_SORT_KEYS)
/* That text, in about a quarter of json_dumpb()'s time for what items are mostly made of. Like that: returns the
 * length it has, which may be more than `size`; 0 on error; no terminating zero. */
size_t sb_item_text(const json_t *item, char *buf, size_t size);
uint64_t sb_text_hash(const char *text, size_t size);

/* Digest: 256 buckets by the key's hash; each the XOR of its items' hashes. */
#define SB_BUCKETS 256
unsigned int sb_bucket(const char *item_key);
/* Hash of an identity; its low 8 bits are sb_bucket(). */
uint64_t sb_key_hash(const char *item_key, size_t size);

#endif
