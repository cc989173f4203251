package mailcore

import (
	"context"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"

	"github.com/panelmail/panelmail/internal/smtpserver"
	"github.com/panelmail/panelmail/transport"
)

// localDesk answers the sessions of the sendmail socket. Who is there is the
// kernel's word; no password is asked, and none would help.
type localDesk struct {
	desk *desk
}

// NewSession implements smtpserver.Handler. A uid that belongs to no site is
// refused, but for root and the server's own, which speak for the panel.
func (d localDesk) NewSession(ctx context.Context, c *smtpserver.Conn) (smtpserver.Session, error) {
	uid, pid, err := peerOf(c.NetConn())
	if err != nil {
		d.desk.config.Log.Error("who is at the sendmail socket cannot be told", "error", err)
		return nil, transport.Replyf(421, "4.3.0", "%s Error: local submission is unavailable", d.desk.config.Hostname)
	}
	who, err := d.desk.localSubmitter(ctx, uid)
	if err != nil {
		return nil, err
	}
	who.pid = pid
	if !d.desk.local.enter(uid) {
		return nil, transport.Replyf(421, "4.7.0", "%s Error: too many connections from uid %d", d.desk.config.Hostname, uid)
	}
	return &localSession{desk: d.desk, who: who}, nil
}

// maxPerUID is how many runs of the sendmail command of one uid are served at
// once; more wait in the maildrop.
const maxPerUID = 50

// localCount counts the connections of each uid.
type localCount struct {
	mu   sync.Mutex
	uids map[int]int
}

func (l *localCount) enter(uid int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uids[uid] >= maxPerUID {
		return false
	}
	if l.uids == nil {
		l.uids = map[int]int{}
	}
	l.uids[uid]++
	return true
}

func (l *localCount) leave(uid int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uids[uid]--; l.uids[uid] == 0 {
		delete(l.uids, uid)
	}
}

// localSubmitter is a uid with what it may do.
type localSubmitter struct {
	uid, pid int
	site     string // "": the panel itself
	name     string // its user's
	address  string // the one at our own host name that is always its own
}

// localSubmitter looks a uid up. The error is a reply.
func (s *desk) localSubmitter(ctx context.Context, uid int) (localSubmitter, error) {
	who := localSubmitter{uid: uid}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		who.name, who.address = u.Username, u.Username+"@"+s.config.Hostname
	}
	settings, err := s.sites.Current(ctx)
	if err != nil {
		return who, lookupFailure(who.address, err)
	}
	site, ok := settings.SiteOfUID(uid)
	switch {
	case ok:
		who.site = site
	case uid != 0 && uid != os.Geteuid():
		s.config.Log.Warn("a uid of no site was refused at the sendmail socket", "uid", uid)
		return who, transport.Replyf(550, "5.7.1", "uid %d belongs to no site: it may not send mail here", uid)
	}
	return who, nil
}

// localSession is one run of the sendmail command.
type localSession struct {
	desk *desk
	who  localSubmitter
}

// Mail implements smtpserver.Session.
func (s *localSession) Mail(ctx context.Context, from string, p smtpserver.MailParams) (smtpserver.Transaction, error) {
	d, err := s.desk.localDraft(ctx, s.who, envelopeOf(from, p))
	if err != nil {
		return nil, err
	}
	return &transaction{desk: s.desk, draft: d, relay: true}, nil
}

// Close implements smtpserver.Session.
func (s *localSession) Close() { s.desk.local.leave(s.who.uid) }

// localDraft begins a message of a local submitter, whether it came over the
// socket or through the maildrop. The error is a reply.
func (s *desk) localDraft(ctx context.Context, who localSubmitter, e transport.Envelope) (*draft, error) {
	sender := e.ReversePath
	if sender == who.address {
		sender = "" // its own at our host name, whatever site it belongs to
	}
	if err := s.siteMaySend(ctx, who.site, sender); err != nil {
		return nil, err
	}
	var w writer
	if who.site != "" {
		w = writer{site: who.site, self: who.address}
	}
	return &draft{
		envelope: e,
		writer:   w,
		origin:   transport.Origin{Site: who.site, Via: transport.ViaSendmail, UID: who.uid, PID: who.pid},
		self:     strings.ToLower(who.name),
		ours:     true,
	}, nil
}
