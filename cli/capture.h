// SPDX-License-Identifier: Apache-2.0
/* capture and trace: the packets of a stream, as pcapng or as lines. */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include "cli/command.h"
#include "lib/packet_text.h"
#include "lib/pcapng.h"

extern const struct field capture_args[];
extern const struct field capture_flags[];
int capture_run(struct cli *cli, const struct command *command, json_t *params);

extern const struct field capture_stop_args[];
int capture_stop_run(struct cli *cli, const struct command *command, json_t *params);

extern const struct field trace_args[];
extern const struct field trace_flags[];
int trace_run(struct cli *cli, const struct command *command, json_t *params);

/* ---- capture_stream.c ---- */

struct capture_stream {
	/* Bytes of the section as they come. NULL: nothing. False ends the capture. */
	bool (*bytes)(struct capture_stream *stream, const struct bytes *bytes);
	/* A packet and the name of its interface. NULL: nothing. False ends the capture. */
	bool (*packet)(struct capture_stream *stream, const char *interface,
		const struct pcapng_record *record);
	void *ctx;
	/* Its own. */
	struct bytes interfaces; /* their names, CAPTURE_NAME each */
};

#define CAPTURE_NAME 128

/*
 * Calls `capture` with params (taken) and hands on what comes until the capture ends, the callbacks end it or a signal does
 * (SIGINT, SIGTERM); then says on stderr how much it was. An enum cli_exit.
 */
int capture_stream_run(struct cli *cli, json_t *params, struct capture_stream *stream);

/* A filter's words as one expression, put into params["filter"]; none: none. */
void capture_join_filter(json_t *params);

/* ---- packet_words.c ---- */

/* A value of a comment's `key=value` words; false when it has none. */
bool packet_word(const struct pcapng_record *record, const char *key, char *value, size_t size);
/* Names are a node's: what a terminal would obey becomes `?`. */
void packet_plain(char *text);
/* "12:00:00.123456", local time. */
#define PACKET_TIME sizeof("12:00:00.123456")
char *packet_time(uint64_t time_ns, char text[PACKET_TIME]);

#endif
