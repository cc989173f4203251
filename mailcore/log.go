package mailcore

import (
	"context"
	"log/slog"
	"net"
	"strings"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// logAccepted writes the line about who handed a message in.
func logAccepted(log *slog.Logger, id string, o transport.Origin) {
	attrs := append(make([]slog.Attr, 0, 7), slog.String("id", id), slog.String("via", string(o.Via)), slog.String("site", o.Site))
	if o.Client != "" {
		attrs = append(attrs, slog.String("client", o.Client), slog.String("helo", o.HELO))
	}
	if o.Login != "" {
		attrs = append(attrs, slog.String("login", o.Login))
	}
	if o.UID >= 0 {
		attrs = append(attrs, slog.Int("uid", o.UID))
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, "accepted", attrs...)
}

// status is the word Postfix has for an event in its delivery log; "" if the event
// is not about a delivery.
func status(k queue.Kind) string {
	switch k {
	case queue.Delivered:
		return "sent"
	case queue.Deferred, queue.Uncertain:
		return "deferred"
	case queue.Failed:
		return "bounced"
	case queue.Expired:
		return "expired"
	case queue.Held:
		return "held"
	}
	return ""
}

// logEvent writes the line about an event.
func logEvent(log *slog.Logger, e queue.Event) {
	ctx := context.Background()
	if !log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	word := status(e.Kind)
	if word == "" {
		log.LogAttrs(ctx, slog.LevelInfo, "message",
			slog.String("id", e.ID), slog.String("event", string(e.Kind)), slog.String("from", e.ReversePath),
			slog.String("site", e.Site), slog.Int64("size", e.Size), slog.Int("nrcpt", e.Recipients))
		return
	}
	attrs := append(make([]slog.Attr, 0, 8), slog.String("id", e.ID), slog.String("to", e.Recipient))
	if original := originalOf(e); original != "" {
		attrs = append(attrs, slog.String("orig_to", original))
	}
	reply := e.Outcome.Reply.Error()
	if e.Outcome.Reply.Code == 0 {
		reply = e.Outcome.Reply.Text // of a person who put it on hold
	}
	log.LogAttrs(ctx, slog.LevelInfo, "delivery", append(attrs,
		slog.String("relay", relayOf(e.Outcome)), slog.Duration("delay", e.Delay),
		slog.String("dsn", e.Outcome.Reply.Status()), slog.String("status", word), slog.String("reply", reply))...)
}

// originalOf is the address that a recipient was given as, if it became another;
// else "".
func originalOf(e queue.Event) string {
	kind, original, _ := strings.Cut(e.ORcpt, ";")
	if !strings.EqualFold(kind, "rfc822") || original == e.Recipient {
		return ""
	}
	return original
}

// relayOf is the host of an outcome as Postfix writes it: host[address]:port.
func relayOf(o transport.Outcome) string {
	if o.Host == "" {
		return "none"
	}
	address, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return o.Host + "[" + o.Addr + "]"
	}
	return o.Host + "[" + address + "]:" + port
}
