// SPDX-License-Identifier: Apache-2.0
/* From notifications to packets, until somebody has enough. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/capture.h"
#include "cli/client.h"
#include "cli/text.h"

void capture_join_filter(json_t *params)
{
	json_t *words = json_object_get(params, "filter"), *word;
	char *text = must(strdup(""));
	size_t i;

	json_array_foreach (words, i, word) {
		char *longer = text_printf("%s%s%s", text, i ? " " : "", json_string_value(word));

		free(text);
		text = longer;
	}
	json_object_del(params, "filter");
	if (*text)
		json_object_set_new(params, "filter", json_string(text));
	free(text);
}

/* ---- Blocks ---- */

static bool take_packet(struct capture_stream *stream, const struct pcapng_block *block)
{
	struct pcapng_record record;
	size_t at;

	if (!pcapng_read_packet(block, &record))
		return true;
	at = (size_t)record.packet.interface * CAPTURE_NAME;
	return stream->packet(stream,
		at < stream->interfaces.length ? (const char *)stream->interfaces.data + at : "?",
		&record);
}

static bool take_blocks(struct capture_stream *stream, const struct bytes *bytes)
{
	struct pcapng_block block;
	size_t offset = 0;
	bool on = true;

	while (on && pcapng_next(bytes->data, bytes->length, &offset, &block) == 1) {
		char *name;

		if (block.type == PCAPNG_PACKET) {
			on = take_packet(stream, &block);
		} else if (block.type == PCAPNG_INTERFACE) {
			name = must(bytes_extend(&stream->interfaces, CAPTURE_NAME));
			pcapng_read_interface(&block, name, CAPTURE_NAME);
			packet_plain(name);
		}
	}
	return on;
}

static bool take_data(struct capture_stream *stream, const json_t *params)
{
	const json_t *data = json_object_get(params, "data");
	struct bytes bytes = {0};
	bool on = true;

	if (json_is_string(data) &&
		base64_append(&bytes, json_string_value(data), json_string_length(data))) {
		on = !stream->bytes || stream->bytes(stream, &bytes);
		if (on && stream->packet)
			on = take_blocks(stream, &bytes);
	}
	bytes_free(&bytes);
	return on;
}

/* ---- The stream ---- */

struct run {
	struct cli *cli;
	struct capture_stream *stream;
	json_t *id;
	json_t *end; /* params of capture.end */
	bool enough; /* of the callbacks */
};

/* One notification. */
static void take(struct run *run, const json_t *notification)
{
	const json_t *params = json_object_get(notification, "params");
	const char *method = resource_text(notification, "method");

	if (!method || !json_equal(json_object_get(params, "capture"), run->id))
		return;
	if (!strcmp(method, "capture.end"))
		run->end = json_incref((json_t *)params);
	else if (!strcmp(method, "capture.data") && !run->enough)
		run->enough = !take_data(run->stream, params);
}

/* What has arrived. */
static int take_all(struct run *run)
{
	json_t *notification;
	int status;

	while ((status = client_next_within(run->cli, 0, &notification)) == CLI_OK &&
		notification) {
		take(run, notification);
		json_decref(notification);
	}
	return status;
}

static int follow(struct run *run, int signals)
{
	struct pollfd fds[] = {
		{.fd = client_fd(run->cli), .events = POLLIN},
		{.fd = signals, .events = POLLIN},
	};
	int status = take_all(run);

	while (status == CLI_OK && !run->end && !run->enough) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return cli_fail(CLI_REFUSED, "poll: %m");
		if (fds[1].revents)
			break;
		if (fds[0].revents)
			status = take_all(run);
	}
	return status;
}

/* Ends it from here; what was on its way comes first. */
static int stop(struct run *run)
{
	json_t *result = NULL, *error = NULL;
	int status = client_try(
		run->cli, "capture.stop", json_pack("{s:O}", "capture", run->id), &result, &error);

	json_decref(result);
	json_decref(error); /* it has ended by itself meanwhile */
	return status == CLI_NO_SERVER ? status : take_all(run);
}

static void tell(const struct run *run)
{
	const char *reason = resource_text(run->end, "reason");
	long long packets = resource_integer(run->end, "packets", 0);
	long long lost = resource_integer(run->end, "lost", 0);

	fflush(stdout);
	fprintf(stderr, "%lld packet%s captured", packets, packets == 1 ? "" : "s");
	if (lost)
		fprintf(stderr, ", %lld lost", lost);
	if (reason && strcmp(reason, "stopped") != 0 && strcmp(reason, "count") != 0)
		fprintf(stderr, ": %s", reason);
	fputc('\n', stderr);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void tell_away(const json_t *result)
{
	json_t *away = json_object_get(result, "away"), *name;
	size_t i;

	json_array_foreach (away, i, name)
		cli_fail(0, "node %s is away", json_string_value(name));
}

int capture_stream_run(struct cli *cli, json_t *params, struct capture_stream *stream)
{
	struct run run = {.cli = cli, .stream = stream};
	json_t *result = NULL;
	int signals, status;

	if (cli->options.server) {
		json_decref(params);
		return cli_fail(CLI_USAGE, "capture needs --socket: HTTP carries no notifications");
	}
	status = client_call(cli, "capture", params, &result);
	if (status != CLI_OK)
		return status;
	signals = open_signals();
	tell_away(result);
	run.id = json_incref(json_object_get(result, "capture"));
	json_decref(result);
	status = follow(&run, signals);
	if (status == CLI_OK && !run.end)
		status = stop(&run);
	if (run.end)
		tell(&run);
	close(signals);
	json_decref(run.id);
	json_decref(run.end);
	bytes_free(&stream->interfaces);
	return status;
}
