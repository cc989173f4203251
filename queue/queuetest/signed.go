package queuetest

import (
	"context"
	"errors"
	"strings"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/queue"
)

var signedCases = []testCase{
	{name: "WhatSignedAMessageIsInUseUntilItIsGone", run: signedInUse},
	{name: "AReportIsSignedBeforeItIsStored", run: signedReport,
		options: queue.Options{Sign: func(_ context.Context, report []byte) ([]byte, []string, error) {
			return []byte("X-Signed: " + firstLine(report) + "\r\n"), []string{"own.key"}, nil
		}}},
	{name: "AReportThatCannotBeSignedIsSent", run: unsignedReport,
		options: queue.Options{Sign: func(context.Context, []byte) ([]byte, []string, error) {
			return []byte("X: y\r\n"), nil, errors.New("no key")
		}}},
	{name: "AReportIsSentThoughSigningPanics", run: unsignedReport,
		options: queue.Options{Sign: func(context.Context, []byte) ([]byte, []string, error) { panic("no key") }}},
	{name: "ANameThatIsNoneIsRefused", run: signedBadly},
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(string(text), ":")
	return line
}

func (l *lab) signed() []string {
	l.Helper()
	names, err := l.q.Signed(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return names
}

func signedInUse(l *lab) {
	for recipient, names := range map[string][]string{
		"held@far.test":  {"b.key", "a.key"},
		"later@far.test": {"a.key"},
		"plain@far.test": nil,
	} {
		m := message("alice@site.test", recipient)
		m.Hold, m.Signed = "wait", names
		l.enqueue(m, "\r\n")
	}
	steps := []struct {
		gone string
		want []string
	}{
		{"", []string{"a.key", "b.key"}},
		{"plain@far.test", []string{"a.key", "b.key"}},
		{"held@far.test", []string{"a.key"}},
		{"later@far.test", nil},
	}
	for _, s := range steps {
		if s.gone != "" {
			l.count(1)(l.q.Requeue(l.Context(), queue.Match{Recipient: s.gone}))
			l.count(1)(l.q.Remove(l.Context(), queue.Match{Recipient: s.gone}))
		}
		if diff := cmp.Diff(s.want, l.signed()); diff != "" {
			l.Errorf("after %q went (-want +got):\n%s", s.gone, diff)
		}
	}
}

func signedReport(l *lab) {
	l.answer(holdReports(always(refused)))
	l.send("bob@far.test")
	l.run()
	synctest.Wait()
	bounce := l.only()
	content := l.content(bounce.ID)
	if !strings.HasPrefix(content, "X-Signed: Received\r\nReceived: ") || bounce.Size != int64(len(content)) {
		l.Errorf("the report has %d octets and begins %.60q", bounce.Size, content)
	}
	if diff := cmp.Diff([]string{"own.key"}, l.signed()); diff != "" {
		l.Errorf("in use (-want +got):\n%s", diff)
	}
}

func unsignedReport(l *lab) {
	l.answer(holdReports(always(refused)))
	l.send("bob@far.test")
	l.run()
	synctest.Wait()
	if content := l.content(l.only().ID); !strings.HasPrefix(content, "Received: ") || l.signed() != nil {
		l.Errorf("the report begins %.60q, signed with %q", content, l.signed())
	}
}

func signedBadly(l *lab) {
	for _, name := range []string{"", "two names", "caf\u00e9", strings.Repeat("x", 256)} {
		m := message("alice@site.test", "bob@far.test")
		m.Signed = []string{name}
		if _, err := l.q.Enqueue(l.Context(), m, strings.NewReader("\r\n")); !errors.Is(err, queue.ErrInvalid) {
			l.Errorf("%.20q: %v", name, err)
		}
	}
}
