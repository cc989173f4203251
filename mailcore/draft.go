package mailcore

import (
	"bufio"
	"io"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/transport"
)

// maxExpanded bounds the recipients of one message after aliases, which are in
// memory until it is stored. Forward-paths beyond are left for another message.
const maxExpanded = 10_000

// A draft is a message on its way through the desk: authorized, not yet stored.
type draft struct {
	envelope transport.Envelope
	origin   transport.Origin
	protocol string // for Received: ESMTPSA, …
	tls      string // for Received: version and cipher
	ours     bool   // from a submitter of ours: we mend it and add what is missing
	request  request
	writer   writer
	body     *bufio.Reader // what the content is read through; nil: it is not stamped
	signing  *signing      // nil: it is not signed

	// forwarder is as in an expansion, where it is the panel that sends all of it
	// on; "": it does not.
	forwarder string

	// reversePaths are those of the copies that are sent on, by the domain that
	// sends them on.
	reversePaths map[string]string

	self    string // the user name of who submits it locally, in lower case
	size    int64  // as the client declared it; 0: not
	maxSize int64  // the least that a mailbox among the recipients takes; 0: none says
	given   int    // forward-paths taken; their recipients may be more, or fewer
	first   string // of them
	have    map[recipientKey]struct{}
	authors []authorKey // whom a bounce is for at rewritten addresses
}

// A recipientKey is what makes two recipients of a message one: who it is, and
// who it was before aliases, both folded. So a person who is written to both
// directly and through an alias gets both, as from Postfix, and each report names
// whom its reader knows.
type recipientKey struct{ address, original string }

// An acceptance is what became of a forward-path that is taken.
type acceptance struct {
	recipients []transport.Recipient
	maxSize    int64       // the least that a mailbox among them takes; 0: none says
	authors    []authorKey // whom they were found for at rewritten addresses
}

// add adds what became of a forward-path, with the parameters of its RCPT. The
// error is a reply; nothing is added then.
func (d *draft) add(to string, a acceptance, notify transport.Notify, orcpt string) error {
	if a.maxSize > 0 && d.size > a.maxSize {
		return mailboxTooSmall()
	}
	if len(d.envelope.Recipients)+len(a.recipients) > maxExpanded {
		return transport.Replyf(452, "4.5.3", "Error: too many recipients")
	}
	if d.given++; d.given == 1 {
		d.first, d.have = to, map[recipientKey]struct{}{}
	}
	if a.maxSize > 0 && (d.maxSize == 0 || a.maxSize < d.maxSize) {
		d.maxSize = a.maxSize
	}
	d.authors = append(d.authors, a.authors...)
	for _, r := range a.recipients {
		if r.Notify = notify; orcpt != "" {
			r.ORcpt = orcpt
		}
		parsed, err := address.Parse(r.Address)
		key := recipientKey{parsed.Fold().String(), strings.ToLower(r.ORcpt)}
		if _, twice := d.have[key]; twice {
			continue
		}
		d.have[key] = struct{}{}
		d.envelope.Recipients = append(d.envelope.Recipients, r)
		if err == nil && parsed.NeedsUTF8() {
			d.envelope.SMTPUTF8 = true // it cannot be sent without
		}
	}
	return nil
}

// bounded is the content up to what every mailbox among the recipients takes.
func (d *draft) bounded(content io.Reader) io.Reader {
	if d.maxSize == 0 {
		return content
	}
	return &boundedReader{r: content, left: d.maxSize, refusal: mailboxTooSmall()}
}

// mailboxTooSmall refuses a message in the dialogue that could only be bounced
// later.
func mailboxTooSmall() transport.Reply {
	return transport.Replyf(552, "5.2.3", "Error: message is larger than a recipient's mailbox takes")
}
