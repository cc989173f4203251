package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheLogHasTheShapeOfPostfixs(t *testing.T) {
	for _, tt := range []struct {
		want    string
		level   slog.Level
		message string
		attrs   []any
	}{
		{"4xQz: to=<u@b.example>, relay=mx.b.example[192.0.2.1]:25, delay=1.50, dsn=2.0.0, status=sent (250 2.0.0 OK)", slog.LevelInfo, "delivery",
			[]any{"id", "4xQz", "to", "u@b.example", "relay", "mx.b.example[192.0.2.1]:25", "delay", 1500 * time.Millisecond, "dsn", "2.0.0", "status", "sent", "reply", "250 2.0.0 OK"}},
		{"4xQz: to=<u@b.example>, orig_to=<sales@a.example>, relay=none, delay=0.00, dsn=4.4.1, status=deferred (x)", slog.LevelInfo, "delivery",
			[]any{"id", "4xQz", "to", "u@b.example", "orig_to", "sales@a.example", "relay", "none", "delay", time.Duration(0), "dsn", "4.4.1", "status", "deferred", "reply", "x"}},
		{"Trusted TLS connection established to mx.b.example[192.0.2.1]:25: TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128/128 bits)", slog.LevelInfo, "TLS connection established",
			[]any{"trust", "Trusted", "host", "mx.b.example[192.0.2.1]", "port", 25, "version", "TLSv1.3", "cipher", "TLS_AES_128_GCM_SHA256"}},
		{"4xQz: from=<>, size=77, nrcpt=1, site=shop (queued)", slog.LevelInfo, "message",
			[]any{"id", "4xQz", "event", "queued", "from", "", "site", "shop", "size", 77, "nrcpt", 1}},
		{"NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <x@y.example>: Relay access denied; from=<> to=<x@y.example> proto=ESMTP helo=<h>", slog.LevelInfo, "command refused",
			[]any{"client", "192.0.2.1", "helo", "h", "command", "RCPT", "argument", "TO:<x@y.example>", "reply", "554 5.7.1 <x@y.example>: Relay access denied", "proto", "ESMTP", "from", "", "to", "x@y.example"}},
		{"NOQUEUE: reject: CONNECT from unknown[192.0.2.1]: 421 4.7.0 x", slog.LevelInfo, "connection refused", []any{"client", "192.0.2.1", "reply", "421 4.7.0 x"}},
		{"NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 501 5.5.4 x; proto=SMTP argument=<nonsense> helo=<h>", slog.LevelInfo, "command refused",
			[]any{"client", "192.0.2.1", "helo", "h", "command", "MAIL", "argument", "nonsense", "reply", "501 5.5.4 x", "proto", "SMTP"}},
		{"warning: unknown[192.0.2.1]: SASL PLAIN x", slog.LevelWarn, "warning: unknown[192.0.2.1]: SASL PLAIN x", nil},
		{`error: it broke: n=1, s="a b", t=c, u=""`, slog.LevelError, "it broke", []any{"n", 1, "s", "a b", "t", "c", "u", ""}},
	} {
		var out bytes.Buffer
		log := slog.New(&lineHandler{out: &logOutput{w: &out, journal: true}})
		log.Log(t.Context(), tt.level, tt.message, tt.attrs...)
		_, got, _ := strings.Cut(out.String(), ">")
		if diff := cmp.Diff(tt.want+"\n", got); diff != "" {
			t.Error(diff)
		}
	}
}

// D18: whatever a client or another host says, an event is one line.
func TestNothingThatIsSaidEndsALineOfTheLog(t *testing.T) {
	evil := "a\r\nwarning: unknown[192.0.2.66]: SASL PLAIN authentication failed: authentication failure\x1b[2J\x00\x9b\u202e\u2028\xff"
	for _, message := range []string{"delivery", "message", "accepted", "command refused", "connection refused", "something else", evil} {
		for _, name := range []string{"id", "to", "orig_to", "relay", "dsn", "status", "reply", "from", "site", "client", "login", "helo", "command", "argument", "proto", evil} {
			var out bytes.Buffer
			log := slog.New(&lineHandler{out: &logOutput{w: &out, tag: "h panelmail[1]: "}}).With(name, evil).WithGroup("g")
			log.Warn(message, name, evil, "error", fmt.Errorf("%s", evil))
			text := strings.TrimSuffix(out.String(), "\n")
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 }) {
				t.Errorf("%s, %s: %q", message, name, text)
			}
		}
	}
}

func TestALineBeginsWithTheTimeOrInTheJournalWithAPriority(t *testing.T) {
	at := time.Date(2026, 11, 21, 8, 5, 3, 120_000_000, time.FixedZone("", 3600))
	var out bytes.Buffer
	plain, journal := &logOutput{w: &out, tag: "mail.panel.example panelmail[7]: "}, &logOutput{w: &out, journal: true}
	for _, o := range []*logOutput{plain, journal} {
		for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			if err := o.line(at, level, "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	line := "2026-11-21T08:05:03.120000+01:00 mail.panel.example panelmail[7]: x\n"
	if diff := cmp.Diff(strings.Repeat(line, 3)+"<6>x\n<4>x\n<3>x\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTheJournalIsWhatTheServiceManagerHasConnected(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
	if !isJournal(f) || isJournal(os.Stdin) || isJournal(&bytes.Buffer{}) {
		t.Error("the journal is not told from other files")
	}
}

func TestTheLogFileIsBegunAnewAtAHangUp(t *testing.T) {
	r := &reloading{lab: newLab(t)}
	r.crt, r.key = filepath.Join(r.data, "x.crt"), filepath.Join(r.data, "x.key")
	r.certify("first.example")
	name := filepath.Join(r.data, "log")
	r.settings(`log.file = "` + name + `"`)
	r.served = r.serve()
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	r.hangup()
	for deadline := time.Now().Add(30 * time.Second); ; {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(text), wasReloaded) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("in the new file: %q, %v", text, err)
		}
	}
	if c, err := net.Dial("tcp", r.served.listens("smtp")); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
}
