/* SPDX-License-Identifier: Apache-2.0 */
#include "store_schema.h"

/* Only ever append: what is written here is on somebody's disk. */
const struct store_step store_steps[] = {
	{1, "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
	    "CREATE TABLE objects (kind TEXT NOT NULL, name TEXT NOT NULL, tenant TEXT NOT NULL,"
	    " revision INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT "
	    "ROWID;"},
	{2, "CREATE TABLE events (number INTEGER PRIMARY KEY, json TEXT NOT NULL);"},
	{3, "CREATE TABLE list_parts (kind TEXT NOT NULL, name TEXT NOT NULL, field TEXT NOT NULL,"
	    " part INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, name, field, part))"
	    " WITHOUT ROWID;"},
	/* usage_store.c. id: the revision of the object's creation; times in milliseconds since 1970. */
	{4, "CREATE TABLE usage (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,"
	    " tenant TEXT NOT NULL, deleted INTEGER NOT NULL, updated INTEGER NOT NULL,"
	    " rx_packets INTEGER NOT NULL, rx_bytes INTEGER NOT NULL,"
	    " tx_packets INTEGER NOT NULL, tx_bytes INTEGER NOT NULL);"
	    "CREATE TABLE usage_lives (instance INTEGER PRIMARY KEY, id INTEGER NOT NULL,"
	    " node TEXT NOT NULL, updated INTEGER NOT NULL,"
	    " rx_packets INTEGER NOT NULL, rx_bytes INTEGER NOT NULL,"
	    " tx_packets INTEGER NOT NULL, tx_bytes INTEGER NOT NULL);"},
};

const size_t store_step_count = sizeof(store_steps) / sizeof(store_steps[0]);
