package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A lineHandler writes records as the lines of a mail log, in the shape that
// Postfix has given them and that the tools for its logs read. What clients and
// other hosts say comes after what we say, on the same line, without control
// characters: see legible.
type lineHandler struct {
	out   *logOutput
	attrs []slog.Attr
	group string // of names, with its dot; or ""
}

// Enabled implements slog.Handler.
func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

// WithAttrs implements slog.Handler.
func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h2 := *h
	h2.attrs = slices.Clip(h.attrs)
	for _, a := range attrs {
		h2.attrs = append(h2.attrs, h.named(a))
	}
	return &h2
}

// WithGroup implements slog.Handler.
func (h *lineHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h2 := *h
	h2.group += name + "."
	return &h2
}

func (h *lineHandler) named(a slog.Attr) slog.Attr {
	return slog.Attr{Key: h.group + a.Key, Value: a.Value}
}

// Handle implements slog.Handler. A record is one line and one write.
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var room [12]slog.Attr // for most records
	e := entry{message: r.Message, level: r.Level, attrs: append(room[:0], h.attrs...)}
	r.Attrs(func(a slog.Attr) bool {
		e.attrs = append(e.attrs, h.named(a))
		return true
	})
	return h.out.line(r.Time, r.Level, e.text())
}

// An entry is a record with all that belongs to it.
type entry struct {
	message string
	level   slog.Level
	attrs   []slog.Attr
}

// text is the line without what comes before its beginning.
func (e entry) text() string {
	switch e.message {
	case "delivery":
		return e.delivery()
	case "message":
		return e.get("id") + ": from=<" + e.get("from") + ">, size=" + e.get("size") +
			", nrcpt=" + e.get("nrcpt") + ", site=" + e.get("site") + " (" + e.get("event") + ")"
	case "accepted":
		return e.accepted()
	case "TLS connection established":
		return fmt.Sprintf("%s TLS connection established to %s:%s: %s with cipher %s (%s/%[6]s bits)",
			e.get("trust"), e.get("host"), e.get("port"), e.get("version"), e.get("cipher"), cipherBits(e.get("cipher")))
	case "command refused", "connection refused":
		return e.refusal()
	}
	return e.plain()
}

// cipherBits is the strength of a cipher suite by its name.
func cipherBits(suite string) string {
	switch {
	case strings.Contains(suite, "AES_128"):
		return "128"
	case strings.Contains(suite, "3DES"):
		return "168"
	}
	return "256"
}

// delivery is what Postfix's delivery agents write, one line a recipient.
func (e entry) delivery() string {
	original := ""
	if e.has("orig_to") {
		original = " orig_to=<" + e.get("orig_to") + ">,"
	}
	return e.get("id") + ": to=<" + e.get("to") + ">," + original + " relay=" + e.get("relay") + ", delay=" + e.get("delay") +
		", dsn=" + e.get("dsn") + ", status=" + e.get("status") + " (" + e.get("reply") + ")"
}

// accepted says whose a message is: Postfix's smtpd and pickup write this.
func (e entry) accepted() string {
	line := e.get("id") + ":"
	if e.get("client") != "" {
		line += " client=unknown[" + e.get("client") + "],"
	}
	if e.has("uid") {
		line += " uid=" + e.get("uid") + ","
	}
	if e.get("login") != "" {
		line += " sasl_username=" + e.get("login") + ","
	}
	return strings.TrimSuffix(line+" via="+e.get("via"), ",")
}

// refusal is what Postfix's smtpd writes about a client it turned away. The names
// of clients are not looked up.
func (e entry) refusal() string {
	command := e.get("command")
	switch {
	case e.message == "connection refused":
		command = "CONNECT"
	case command == "":
		command = "unknown command"
	}
	line := fmt.Sprintf("NOQUEUE: reject: %s from unknown[%s]: %s;", command, e.get("client"), e.get("reply"))
	for _, name := range []string{"from", "to"} {
		if e.has(name) {
			line += fmt.Sprintf(" %s=<%s>", name, e.get(name))
		}
	}
	if e.get("proto") != "" {
		line += " proto=" + e.get("proto")
	}
	if !e.has("from") && e.get("argument") != "" {
		line += fmt.Sprintf(" argument=<%s>", e.get("argument"))
	}
	if e.has("helo") {
		line += fmt.Sprintf(" helo=<%s>", e.get("helo"))
	}
	return strings.TrimSuffix(line, ";")
}

// plain is any other record: what happened, and the attributes.
func (e entry) plain() string {
	word := ""
	switch {
	case e.level >= slog.LevelError:
		word = "error: "
	case e.level >= slog.LevelWarn && !strings.HasPrefix(e.message, "warning: "):
		word = "warning: "
	}
	line := word + legible(e.message)
	for i, a := range e.attrs {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		line += separator + legible(a.Key) + "=" + quotedIfNeeded(valueOf(a.Value))
	}
	return line
}

func (e entry) has(name string) bool {
	return slices.ContainsFunc(e.attrs, func(a slog.Attr) bool { return a.Key == name })
}

// get is the value of an attribute, legible; "" if it is not there.
func (e entry) get(name string) string {
	for _, a := range e.attrs {
		if a.Key == name {
			return legible(valueOf(a.Value))
		}
	}
	return ""
}

// valueOf is a value as text. Durations are in seconds, as Postfix has its delays.
func valueOf(v slog.Value) string {
	v = v.Resolve()
	if v.Kind() == slog.KindDuration {
		return strconv.FormatFloat(v.Duration().Seconds(), 'f', 2, 64)
	}
	return v.String()
}

// maxLegible bounds what is written of one value, in octets: a reply can be long.
const maxLegible = 2000

// legible is s with a question mark for everything that could end a line, move a
// cursor or turn the direction of text around, cut to maxLegible.
func legible(s string) string {
	if len(s) <= maxLegible && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if len(s) > maxLegible {
		s = strings.ToValidUTF8(s[:maxLegible], "")
	}
	return s
}

// quotedIfNeeded quotes what would not be seen as one word.
func quotedIfNeeded(s string) string {
	if s == "" || strings.ContainsAny(s, " =,\"") || legible(s) != s {
		return legible(strconv.Quote(s))
	}
	return s
}
