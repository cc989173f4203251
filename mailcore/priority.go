package mailcore

import (
	"strings"

	"github.com/panelmail/panelmail/internal/rfc5322"
	"github.com/panelmail/panelmail/queue"
)

// priority is that of a draft: what the submitter asked for, else what the header
// of a submitter of ours says. Of strangers nothing is believed.
func (s *desk) priority(d *draft, header *rfc5322.Header) queue.Priority {
	switch {
	case s.config.ForbidPriority:
		return queue.Normal
	case d.request.priority != queue.Normal:
		return d.request.priority
	case !d.ours:
		return queue.Normal
	}
	return headerPriority(header)
}

// headerPriority is what a header says about how soon the message should leave:
// Priority (RFC 2156 section 5.3.6), or else the Precedence that programs for lists
// and newsletters set. X-Priority and Importance are about how the reader should
// see it, and say nothing here.
func headerPriority(header *rfc5322.Header) queue.Priority {
	switch word(header.Get("Priority")) {
	case "urgent":
		return queue.Interactive
	case "normal":
		return queue.Normal
	case "non-urgent":
		return queue.Bulk
	}
	switch word(header.Get("Precedence")) {
	case "bulk", "junk", "list":
		return queue.Bulk
	}
	return queue.Normal
}

func word(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
