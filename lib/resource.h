// SPDX-License-Identifier: Apache-2.0
/*
 * Resource descriptions: what a kind of object looks like, written once.
 *
 * A kind is a table of fields. From it come validation with JSON pointers, defaults, references,
 * the shape that is stored, RPC methods (methods.h), vpcctl's verbs, flags, completion and help,
 * the OpenRPC document (openrpc.h), docs/reference.md and the man pages (reference.h).
 * Parameters and results of RPC methods are described by the same field tables.
 *
 * Objects are jansson objects. Tables are constant and live for ever; functions have no state and
 * may be called from any thread, as long as no two threads use the same json_t.
 */
#ifndef LIB_RESOURCE_H
#define LIB_RESOURCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/errors.h"

struct kind;
struct resource_error;

enum field_type {
	FIELD_END = 0, /* ends a table */
	FIELD_STRING,  /* free text; min, max: its length in bytes (default 0..1024) */
	FIELD_INTEGER, /* min, max */
	FIELD_NUMBER,  /* results only: any number */
	FIELD_BOOLEAN,
	FIELD_ENUM,            /* one of `values` */
	FIELD_NAME,            /* a resource name, RESOURCE_NAME_PATTERN */
	FIELD_REF,             /* the name of an object of kind `ref` */
	FIELD_ADDRESS,         /* IPv4 or IPv6 address (`family` restricts it) */
	FIELD_CIDR,            /* prefix, host bits zero (`family` restricts it) */
	FIELD_ADDRESS_OR_CIDR, /* either; a full-length CIDR becomes an address */
	FIELD_MAC,             /* unicast */
	FIELD_PORTS,           /* "443" or "8000-8999"; a number is taken and becomes text */
	FIELD_PROTOCOL, /* tcp udp icmp icmpv6 any or 0..255; a known number becomes its name */
	FIELD_IFNAME,   /* name of a Linux network interface */
	FIELD_PATH,     /* absolute file name */
	FIELD_NETNS,    /* a name under /run/netns, or an absolute path */
	FIELD_ENDPOINT, /* results only: "10.0.0.1:80", "[fd00::1]:80" */
	FIELD_URL_RPC,  /* an absolute path (Unix socket), or tls://host:port */
	FIELD_TIME,     /* RFC 3339; canonical: UTC to the millisecond */
	FIELD_OBJECT,   /* `fields` */
	FIELD_UNION,    /* an object whose member `tag` selects one of `variants` */
	FIELD_KIND,     /* the name of a kind */
	FIELD_RESOURCE, /* an object of kind `ref`; without ref: of any kind, and with `kind` */
	FIELD_MAP,      /* results only: any names, each with the value `fields[0]` describes */
	FIELD_ANY,      /* results only: any JSON */
};

enum field_flags {
	FIELD_REQUIRED = 1 << 0,    /* input: must be given; result: always there */
	FIELD_IMMUTABLE = 1 << 1,   /* cannot be changed after creation */
	FIELD_READ_ONLY = 1 << 2,   /* the server's: invalid on create and update, else ignored */
	FIELD_AUTO = 1 << 3,        /* the server chooses when omitted, and keeps what it chose */
	FIELD_LIST = 1 << 4,        /* a list of the type; min_items, max_items */
	FIELD_SET = 1 << 5,         /* with FIELD_LIST: no value twice */
	FIELD_ANY_TENANT = 1 << 6,  /* the reference may cross tenants */
	FIELD_NULLABLE = 1 << 7,    /* results: may be null */
	FIELD_KEY = 1 << 8,         /* says which object: required even in an update */
	FIELD_AUTO_MAYBE = 1 << 10, /* as FIELD_AUTO, where there is something to choose */
	FIELD_GUARD = 1 << 9,       /* read-only, but an update may give the value it expects */
};

/* Where vpcctl shows a field of a list. */
enum field_column { COLUMN_NONE = 0, COLUMN_TABLE, COLUMN_WIDE };

struct field_value { /* ends with name NULL */
	const char *name;
	const char *help;
};

struct field_variant { /* ends with value NULL */
	const char *value;
	const char *help;
	const struct field *fields; /* without the tag itself; may be NULL */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned flags;                /* enum field_flags */
	const char *help;              /* one sentence, lower case, no full stop */
	const char *def;               /* default as JSON text; NULL: the field stays absent */
	const char *example;           /* JSON text; of a list: a whole list */
	int64_t min, max;              /* FIELD_INTEGER: value, both 0: any; FIELD_STRING: length */
	uint32_t min_items, max_items; /* FIELD_LIST; max 0: RESOURCE_LIST_MAX */
	uint8_t family;                /* NET_IPV4, NET_IPV6 or 0 */
	uint8_t column;                /* enum field_column */
	const char *ref;               /* FIELD_REF: name of the kind */
	const char *unit;              /* for help, such as "seconds" */
	const struct field_value *values;
	const struct field *fields;
	const char *tag; /* FIELD_UNION: "type", "kind" */
	const struct field_variant *variants;
	/*
	 * What no table can say, about the whole value (of a list: each item), called after all its
	 * members are valid and canonical. False with resource_fail(error, "/member", ...).
	 */
	bool (*check)(const json_t *value, struct resource_error *error);
};

/* A method of a kind beside create, get, list, update, delete. `name` is always its first
 * parameter. */
struct kind_verb { /* ends with name NULL */
	const char *name;
	const char *help;
	const struct field *params; /* beside `name` */
	const struct field *result; /* NULL: the object */
	const char *example;        /* params as JSON text */
};

enum kind_flags {
	KIND_SERVER_MADE = 1 << 0, /* users can only get and list */
};

struct kind {
	const char *name;   /* "security_group" */
	const char *plural; /* "security groups" */
	const char *help;   /* what it is: a sentence or two */
	unsigned flags;
	/* The field whose (first) object gives the default tenant, or NULL. Of type FIELD_OBJECT: the reference in it. */
	const char *parent;
	const struct field *fields;  /* all: name, tenant, description, …, revision, status */
	const struct field *filters; /* of list, beside the fields; matched by the controller */
	const struct kind_verb *verbs;
	const char *example; /* an object as JSON text, for the reference */
	/* Defaults that follow from other fields (a subnet's gateway), on create and apply. */
	void (*complete)(json_t *object);
	/* Rules about several fields of one object; it is whole and canonical. */
	bool (*check)(const json_t *object, struct resource_error *error);
};

#define RESOURCE_NAME_PATTERN "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
#define RESOURCE_NAME_MAX 63
#define RESOURCE_LIST_MAX 10000
#define RESOURCE_TENANT_DEFAULT "default"

/* ---- Errors ---- */

#define RESOURCE_PATH_MAX 256
#define RESOURCE_REASON_MAX 384

struct resource_error {
	enum error_code code;
	char path[RESOURCE_PATH_MAX]; /* JSON pointer, RFC 6901; "" is the whole */
	char reason[RESOURCE_REASON_MAX];
};

/* Says what is wrong as `invalid`, and returns false. `path` is relative to what is being checked.
 */
bool resource_fail(struct resource_error *error, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with another code. */
bool resource_fail_code(struct resource_error *error, enum error_code code, const char *path,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Puts a pointer such as "/resources/17" in front of the error's path. */
void resource_error_prefix(struct resource_error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The error's `message`: "/cidrs/0: 10.0.0.1/8 has host bits set: did you mean 10.0.0.0/8?" */
void resource_error_message(const struct resource_error *error, char *text, size_t size);
/* The error's `data`: {path, reason}. New reference. */
json_t *resource_error_data(const struct resource_error *error);

/* ---- Registry ---- */

/* Kinds in the order in which apply creates them: a kind comes after those it refers to. */
size_t kind_count(void);
const struct kind *kind_at(size_t index);
/* By name ("port"); NULL when there is none. */
const struct kind *kind_find(const char *name);
size_t kind_index(const struct kind *kind);
#define KIND_FOREACH(kind)                                                                         \
	for (size_t kind##_i = 0; kind##_i < kind_count() && ((kind) = kind_at(kind##_i));         \
		kind##_i++)

/* The field of that name in a table that ends with FIELD_END; NULL when there is none. */
const struct field *field_find(const struct field *fields, const char *name);
#define FIELD_FOREACH(field, table)                                                                \
	for ((field) = (table); (field) && (field)->type != FIELD_END; (field)++)

/* A union's variant of that name; NULL when there is none. */
const struct field_variant *field_variant_find(const struct field *field, const char *value);

/* The field's default, a new reference; NULL when it has none. */
json_t *field_default(const struct field *field);

/* The object that gives one of this kind its default tenant: its name, NULL: none, and its kind's in *ref. Borrowed. */
const char *resource_parent(const struct kind *kind, const json_t *object, const char **ref);

/* Which of the words was probably meant by one that is none of them; NULL when none is near. */
const char *resource_nearest(const char *given, const char *const *choices, size_t count);

/* ---- Validation ---- */

enum resource_mode {
	RESOURCE_CREATE, /* defaults filled in; read-only fields are an error */
	RESOURCE_UPDATE, /* some fields: no defaults; null returns a field to its default */
	RESOURCE_APPLY,  /* as create, but read-only fields and `kind` are dropped */
};

/*
 * Validates `in` and makes *out, a new reference: canonical text, defaults, no unknown or read-only
 * field. *out may share unchanged values with `in`. Fields that are automatic and not given stay
 * absent: in a new object the controller chooses them. `tenant` is one of them: the parent's
 * (kind->parent), else RESOURCE_TENANT_DEFAULT. null counts as not given (create, apply). False
 * with *error set and *out NULL.
 */
bool resource_validate(const struct kind *kind, enum resource_mode mode, const json_t *in,
	json_t **out, struct resource_error *error);

/* The same for any table of fields, such as a method's parameters. */
bool fields_validate(const struct field *fields, enum resource_mode mode, const json_t *in,
	json_t **out, struct resource_error *error);

/*
 * update: `changes` (from RESOURCE_UPDATE) laid over `old`. Objects are merged, lists and unions
 * replaced whole. Checks immutable fields, `revision` if it is in changes (`conflict`), and
 * the whole result as after create. *out is a new reference; `old` is not changed. Read-only fields
 * of `old` are kept.
 */
bool resource_merge(const struct kind *kind, const json_t *old, const json_t *changes, json_t **out,
	struct resource_error *error);

/* apply over an existing object: gives `object` the automatic fields of `old` that it lacks. */
void resource_keep_automatic(const struct kind *kind, const json_t *old, json_t *object);

/* False, with the first immutable field that differs, when `new` cannot replace `old`. */
bool resource_check_immutable(const struct kind *kind, const json_t *old, const json_t *new,
	struct resource_error *error);

/*
 * Before `object` (valid, its lists are its own) replaces `old`, or is laid over it: what their long lists have in
 * common becomes the same values, so that nobody needs to look into them again.
 */
void resource_share(const struct kind *kind, const json_t *old, json_t *object);

/* Are all fields equal, read-only ones left out? Both are canonical. */
bool resource_equal(const struct kind *kind, const json_t *a, const json_t *b);

/* {field: [old, new]} of the top-level fields that differ, read-only ones left out; `old` or `new`
 * may be NULL (created, deleted). New reference. */
json_t *resource_diff(const struct kind *kind, const json_t *old, const json_t *new);

/* {kind, …} as export and apply have it: without read-only fields. New reference. */
json_t *resource_export(const struct kind *kind, const json_t *object);

/* Does the object pass the filters (from a list method's params: a value equal to the field's, or
 * contained in a list)? Members that are no field of the kind are ignored. */
bool resource_matches(const struct kind *kind, const json_t *object, const json_t *filters);

/* ---- References ---- */

struct resource_ref {
	const char *path; /* JSON pointer into the object; valid during the call only */
	const struct field *field;
	const struct kind *kind; /* the kind referred to */
	const char *name;
	bool any_tenant;
};

/* Calls back for each reference in the (canonical) object, until the callback returns false; false
 * then. */
typedef bool (*resource_ref_fn)(const struct resource_ref *ref, void *arg);
bool resource_refs(const struct kind *kind, const json_t *object, resource_ref_fn fn, void *arg);

/* ---- Short forms for jansson objects that are valid ---- */

/* A string member or NULL; a number or boolean member or `otherwise`. */
const char *resource_text(const json_t *object, const char *field);
json_int_t resource_integer(const json_t *object, const char *field, json_int_t otherwise);
bool resource_boolean(const json_t *object, const char *field, bool otherwise);

#endif
