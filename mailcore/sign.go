package mailcore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/panelmail/panelmail/dkim"
	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/rfc5322"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// signers are the keys that sign a draft: those of the author's domain, whatever the
// envelope says, if the draft is from somebody who answers for that domain. added are
// the fields that the desk adds to the header.
//
// Of strangers' mail nothing is signed, nor is what has authors in two domains, and what
// goes to next hops alone that sign it themselves.
func (s *desk) signers(ctx context.Context, d *draft, header *rfc5322.Header, added []byte) ([]dkim.Key, error) {
	if !d.ours {
		return nil, nil
	}
	domain := authorDomain(header, added)
	if domain == "" {
		return nil, nil
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return nil, lookupFailure(domain, err)
	}
	keys, err := s.sites.SigningKeys(ctx, domain)
	if err != nil {
		return nil, lookupFailure(domain, err)
	}
	if len(keys) == 0 || !maySign(settings, d, keys[0].Domain()) || s.signedElsewhere(ctx, settings, d) {
		return nil, nil
	}
	return keys, nil
}

// maySign reports whether the key of a domain is for the mail of who handed the draft
// in. The panel itself may use each. What comes over SMTP is never the panel's: a login
// without a site has no key, and a network that may relay is nobody in particular, and
// what it sends may be from anywhere: it must send as the site.
func maySign(settings *sites.Snapshot, d *draft, domain string) bool {
	of, _ := settings.Domain(domain)
	if d.origin.Site == "" {
		return d.origin.Via != transport.ViaSMTP
	}
	return of.Site == d.origin.Site
}

// signedElsewhere reports whether all mail of a draft goes to next hops that sign it.
func (s *desk) signedElsewhere(ctx context.Context, settings *sites.Snapshot, d *draft) bool {
	if !settings.HasDKIMSigners() {
		return false
	}
	for i := range d.envelope.Recipients {
		plan, err := s.planner.Plan(ctx, transport.QueryFor("", &d.envelope, &d.envelope.Recipients[i], d.origin))
		if err != nil || !settings.IsDKIMSigner(plan.Nexthop) {
			return false
		}
	}
	return true
}

// authorDomain is the one domain, folded, of all addresses in From; "" if there are
// several or none.
func authorDomain(header *rfc5322.Header, added []byte) (domain string) {
	var supplied rfc5322.Header
	if err := supplied.Prepend(added); err != nil {
		return ""
	}
	for _, h := range []*rfc5322.Header{header, &supplied} {
		for f := range h.Fields() {
			if !strings.EqualFold(f.Name(), "From") {
				continue
			}
			for _, written := range rfc5322.WrittenAddresses(f.Value()) {
				a, err := address.Parse("x" + written[strings.LastIndexByte(written, '@'):])
				if err != nil {
					return ""
				}
				folded := a.Fold().Domain
				if domain != "" && folded != domain {
					return ""
				}
				domain = folded
			}
		}
	}
	return domain
}

// errUnsigned ends the signing of a message that is not stored.
var errUnsigned = errors.New("mailcore: the message was not stored")

// A signing makes the signatures of a message while it is read. There is a goroutine
// in it until fields has returned or stop was called.
type signing struct {
	names  []string // of the records that the signatures need
	pipe   *io.PipeWriter
	done   chan struct{}
	result string
	err    error
}

// startSigning signs what is written into it, below what is added, with each of the
// keys, of which there is one at least.
func startSigning(ctx context.Context, keys []dkim.Key, added []byte) *signing {
	r, w := io.Pipe()
	s := &signing{pipe: w, done: make(chan struct{}), names: recordNames(keys)}
	go func() {
		defer close(s.done)
		s.result, s.err = signWith(ctx, keys, added, r)
		// Whoever writes is told at once; after a signature there is nothing to write.
		r.CloseWithError(errors.Join(s.err, errUnsigned))
	}()
	return s
}

// signWith reads a message and returns its signatures. What is added above it has no
// part in the limits on headers, which the desk applies to what it is handed.
func signWith(ctx context.Context, keys []dkim.Key, added []byte, content io.Reader) (string, error) {
	fixed := func(context.Context, string) ([]dkim.Key, error) { return keys, nil }
	signer := dkim.Signer{Keys: dkim.KeyStoreFunc(fixed), Above: added}
	return signer.Sign(ctx, keys[0].Domain(), content)
}

// recordNames are what must be published for as long as the signatures are needed.
func recordNames(keys []dkim.Key) (names []string) {
	for _, k := range keys {
		names = append(names, strings.ToLower(k.RecordName()))
	}
	return names
}

// fields returns the signatures when all of the message was written.
func (s *signing) fields() ([]byte, error) {
	s.pipe.Close()
	<-s.done
	return []byte(s.result), unsignable(s.err)
}

// unsignable makes a reply of an error that says one: the message is at fault.
func unsignable(err error) error {
	var says interface {
		SMTPReply() (int, [3]int, string)
	}
	if !errors.As(err, &says) {
		return err
	}
	code, enhanced, text := says.SMTPReply()
	return transport.Reply{Code: code, Enhanced: enhanced, Text: "Error: " + text}
}

// stop ends the signing, whatever was written. A nil signing has ended.
func (s *signing) stop() {
	if s != nil {
		s.pipe.CloseWithError(errUnsigned)
		<-s.done
	}
}

// A signedReader shows a signing what is read.
type signedReader struct {
	r    io.Reader
	into *signing
}

// Read implements io.Reader. What cannot be signed cannot be read.
func (r *signedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		if _, failed := r.into.pipe.Write(p[:n]); failed != nil {
			<-r.into.done
			return 0, unsignable(errors.Join(r.into.err, failed))
		}
	}
	return n, err
}

// sign has m signed, whose header begins with what is added and goes on with content.
func (s *desk) sign(ctx context.Context, d *draft, m *queue.Message, header *rfc5322.Header, added []byte, content io.Reader) (io.Reader, error) {
	keys, err := s.signers(ctx, d, header, added)
	if err != nil || len(keys) == 0 {
		return content, err
	}
	d.signing = startSigning(ctx, keys, added)
	head := m.Head
	m.Signed = d.signing.names
	m.Head = func() ([]byte, error) {
		fields, err := d.signing.fields()
		if err != nil {
			return nil, err
		}
		rest, err := head()
		return append(fields, rest...), err
	}
	return &signedReader{content, d.signing}, nil
}

// signReport signs a report of the queue's own with the keys of our host name's domain,
// or of the nearest above it, where that is ours: see [sites.Sites.ReportKeys].
func (s *Server) signReport(ctx context.Context, report []byte) (fields []byte, signed []string, err error) {
	keys, err := s.sites.ReportKeys(ctx, s.current().config.Hostname)
	if err != nil || len(keys) == 0 {
		return nil, nil, err
	}
	text, err := signWith(ctx, keys, nil, bytes.NewReader(report))
	return []byte(text), recordNames(keys), err
}
