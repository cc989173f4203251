package queue

import (
	"context"
	"database/sql"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// A store keeps messages. It is cut by the queue's own steps; each is atomic,
// durable when it returns without an error, and takes its instants from the
// caller, in microseconds since 1970 UTC. After an error the step may have
// happened or not. Methods are called from many goroutines at once.
//
// Steps that change something write events in the same commit, and report them to
// the store's emit function after it, in the order of commits. Those of enqueueTx
// and update are written only.
type store interface {
	// enqueue makes a message visible. If the record has an upload, that
	// becomes its body. If another message has the record's key it stores nothing,
	// and sets twin or returns ErrKeyReused. What the rules hold is stored on hold.
	enqueue(ctx context.Context, r *record) error

	// enqueueTx is enqueue inside a transaction of the caller's, which is on the
	// same database. It touches nothing else.
	enqueueTx(tx *sql.Tx, r *record) error

	// beginUpload starts a body that is stored in pieces; until enqueue it is
	// invisible. appendUpload adds pieces, numbered from first.
	beginUpload(ctx context.Context) (upload int64, err error)
	appendUpload(ctx context.Context, upload int64, first int, chunks [][]byte) error
	dropUpload(ctx context.Context, upload int64) error

	// sweep removes uploads that nobody will finish and bodies that nobody
	// owns, a step at a time; more says that there is another step to do.
	sweep(ctx context.Context, dead bool) (more bool, err error)

	// due lists lanes by the instant at which they have work, earliest first,
	// without those excluded; latest lists those due at now, latest first.
	due(ctx context.Context, exclude []int64, limit int) ([]laneDue, error)
	latest(ctx context.Context, exclude []int64, now int64, limit int) ([]laneDue, error)

	// park has lanes rest. What is stored in them later does not wake them.
	park(ctx context.Context, now int64, lanes []parking) error

	// tidy removes lanes that nobody refers to, from a number on, a step at a
	// time, and returns where the next step begins; 0: all were looked at.
	tidy(ctx context.Context, now, from int64) (next int64, err error)

	// claim leases due recipients of the lanes asked for and writes, before
	// anybody dials, their attempt and next due time. It notes in each want what
	// more there is.
	claim(ctx context.Context, c claim) ([]*attempt, error)

	// extend renews the leases with the given tokens.
	extend(ctx context.Context, tokens []int64, lease int64) error

	// holding returns what the tokens still lease: not what was removed, put on
	// hold or given up.
	holding(ctx context.Context, tokens []int64) (map[int64]holder, error)

	// settle records outcomes and stores the reports about them, together. What
	// is no longer leased under the settlement's token stays as it is. It
	// returns errChanged, and does nothing, if an outcome that is not final
	// rests on what has changed since refresh, or an unclaimed recipient is no
	// longer what it was when it was read.
	settle(ctx context.Context, s *settlement) error

	// clear removes a step's worth of the messages that settle has left behind though
	// they are over, and that nothing else finds any more. left tells of those, and
	// survey has whoever runs the queue know of those that were there before.
	clear(ctx context.Context) (more bool, err error)
	left() *leftovers
	survey(ctx context.Context) error

	// refresh reads again what a person or another attempt may have changed
	// since the claim.
	refresh(ctx context.Context, a *attempt) error

	// clock returns what a message's end depends on.
	clock(ctx context.Context, message int64) (clock, error)

	// rescue ends leases that ran out before an instant: attempts without an
	// outcome.
	rescue(ctx context.Context, now, before int64) (recipients int, err error)

	// setBack lets the time of messages begin at now that arrived after an
	// instant and expire after another: some at a time, until there are none.
	// Those that were tried are due again at due.
	setBack(ctx context.Context, now, arrived, expires, due int64) (messages int, err error)

	// overdue lists waiting recipients whose message expires after a place in the
	// order of expiry and no later than an instant, if their lane is parked, or was
	// since another instant at which they were out of time already.
	// nextOverdue tells when the next message expires.
	overdue(ctx context.Context, after expiring, until, starved int64, limit int) ([]*attempt, error)
	nextOverdue(ctx context.Context, after int64) (at int64, err error)

	// givenUp lists recipients that a change has failed and that are not being
	// tried, after a place in the order of messages and positions.
	givenUp(ctx context.Context, after place, limit int) ([]*attempt, error)

	list(ctx context.Context, m Match, after int64, limit int) ([]Entry, error)

	// change does it a step at a time; affected only counts.
	change(ctx context.Context, c change) (messages int, err error)
	affected(ctx context.Context, c change) (messages int, err error)

	stats(ctx context.Context, now int64) (Stats, error)
	ages(ctx context.Context, now int64, bounds []time.Duration) ([]AgeStats, error)

	// cursor turns a trail's zero or negative one into the number of an event.
	// events reads the first of a trail's events after a number; next is the
	// last one that was looked at, and more says that there were others after
	// it. names lists all queue IDs of a message by one of them.
	cursor(ctx context.Context, after int64) (int64, error)
	events(ctx context.Context, t Trail, after int64) (page []Event, next int64, more bool, err error)
	names(ctx context.Context, id string) ([]string, error)

	// addRule makes a rule known to every enqueue that commits later.
	addRule(ctx context.Context, r Rule) (id int64, err error)
	deleteRule(ctx context.Context, id int64) error
	rules(ctx context.Context) ([]Rule, error)

	// forgetKeys removes some keys whose time is over.
	forgetKeys(ctx context.Context, now int64) (more bool, err error)

	// prune deletes a step's worth of what the history keeps no longer: events of
	// before an instant, and counts. vacuum returns a step's worth of what
	// is free in the file, if that is much; begun says that it was much before.
	prune(ctx context.Context, before, now int64) (more bool, err error)
	vacuum(ctx context.Context, begun bool) (more bool, err error)

	// content returns where the content of a message is, and its first part;
	// chunk a piece of an upload, numbered from 0. Both return ErrNotFound for
	// what is not there.
	content(ctx context.Context, message int64) (stored, error)
	chunk(ctx context.Context, upload int64, part int) ([]byte, error)
	find(ctx context.Context, id string) (message int64, err error)

	// signed lists what records were signed with whose message is there.
	signed(ctx context.Context) (names []string, err error)

	// foreign reports whether somebody else has written to the file since the
	// last call.
	foreign(ctx context.Context) (bool, error)

	// mark notes the state of a site in a transaction of update; renameSite gives
	// all of its rows another name; removeSite removes what emptySite has left, and
	// returns what went.
	mark(tx *sql.Tx, site string, state siteState) error
	renameSite(tx *sql.Tx, site, to string) error
	removeSite(tx *sql.Tx, site string, domains []string) (siteTally, error)

	// stateOf reads the state of a site, and marked lists the sites in one.
	stateOf(ctx context.Context, site string) (siteState, error)
	marked(ctx context.Context, state siteState) ([]string, error)

	// emptySite removes what is kept of a site that is being removed, a step at a
	// time; countSite only counts.
	emptySite(ctx context.Context, site string, domains []string) error
	countSite(ctx context.Context, site string, domains []string) (siteTally, error)

	// rewrite leaves nothing of what was deleted in the file, if that may be
	// rewritten, and cutLog nothing in its log. Both return ErrLocked while somebody
	// else is in the way.
	rewrite(ctx context.Context) error
	cutLog(ctx context.Context) error

	update(ctx context.Context, f func(*sql.Tx) error) error
	view(ctx context.Context, f func(*sql.Tx) error) error
	close() error
}

// A record is a message on its way into the store.
type record struct {
	id        string
	envelope  transport.Envelope
	labels    []string // what each recipient is filed under
	origin    transport.Origin
	priority  Priority
	arrived   int64
	due       int64 // when it is first
	expires   int64
	warn      int64 // when a delay warning is due; 0: never
	lifetime  int64 // the message's own; 0: none; -1: one attempt
	notBefore int64 // 0: not given
	size      int64
	hold      string // why all of it is stored on hold
	key       string // "": none
	sum       []byte // what messages with one key are compared by
	keyUntil  int64
	signed    string // names, with a blank between two; "": none
	head      []byte
	body      []byte // if upload is 0
	upload    int64
	express   *express // nil: no place is kept for it

	// What the store found.
	held []string // why each recipient is on hold, "" if it is not; nil: none is
	twin string   // queue ID of the message that has the key; "": the record was stored
}

// stored is the content of a message: head and body, or head and the chunks of
// an upload.
type stored struct {
	size   int64 // octets of all of it
	head   []byte
	body   []byte // if upload is 0
	upload int64
}

// A place is that of a recipient.
type place struct {
	message  int64
	position int
}

// expiring is a place in the order in which messages expire.
type expiring struct {
	at int64
	place
}

// A laneDue is a lane and when it has work.
type laneDue struct {
	lane   int64
	label  string
	at     int64
	revive bool // a person wants it tried, whatever the transport remembers
}

// A claim asks for work.
type claim struct {
	now   int64
	lease int64 // until when
	token int64 // of the first attempt; those after it count up
	wants []want
	rules backoff
	limit int // recipients of one attempt
	rows  int // recipients of all: reached by the first attempt that has so many
}

// A want asks for attempts in one lane: from the highest class down, in each from
// the sites in turn. A large message counts as several: see cost.
type want struct {
	lane     int64
	label    string
	attempts int
	most     [priorities]int    // of each class
	after    [priorities]string // the site that had the latest turn, or was looked at last in vain
	yield    bool               // if there is one attempt, it is not the highest class's
	flows    []flow             // one attempt more of each of these

	more [priorities]bool // the answer: the class has more that is due, or may have
}

// A flow is the mail of one site and class in a lane.
type flow struct {
	class int
	site  string
}

// An attempt is a claimed set of recipients of one message: one delivery.
type attempt struct {
	token    int64 // 0: not claimed
	lane     int64
	label    string
	class    int
	extra    bool   // claimed for a newcomer
	next     string // the next claim in the class begins after this site
	message  int64
	id       string
	envelope transport.Envelope // with the recipients of this attempt only
	origin   transport.Origin
	arrived  int64
	size     int64
	lifetime int64 // as in the record
	clock    clock
	rows     []row  // in the order of the envelope's recipients
	content  []byte // nil: to be read from the store

	as *ruleSet // in force when it was claimed: of another one the site may have another name

	lease int64         // until when the attempt may go on
	rest  time.Duration // of the lane, if something was handed back
	back  bool          // something was
	turn  int64         // the lane's place among others before it began
	again bool          // it was refused where there seemed to be room
	stop  *time.Timer   // ends the delivery then; nil: not begun
}

// A holder is what a token leases.
type holder struct {
	recipients int
	site       string // which may have another name by now
}

// A clock is what decides when a message is given up or warned about.
type clock struct {
	expires int64
	warn    int64 // 0: never, or done
}

// A row is the state of a recipient in an attempt.
type row struct {
	position int
	attempts int   // this one included
	first    int64 // instant of the first attempt
	due      int64 // what it was before the claim
	code     int   // the last reply, if any
	status   string
	text     string
	host     string
	last     string // why this attempt is the last; "": it need not be
	state    State  // of an unclaimed recipient, when it was read
	parked   string // why the lane of an unclaimed recipient is or was parked; "": not known
}

// A settlement is what became of an attempt.
type settlement struct {
	attempt *attempt
	now     int64
	rulings []ruling  // one for each row of the attempt
	parked  int64     // if not 0: the lane rests until then
	expired bool      // unclaimed, and true only if the message has expired at now
	reports []*record // stored with the outcomes
	warning *record   // stored if nobody warned before; then nobody will again
}

// A ruling says what a recipient's state becomes.
type ruling struct {
	state   State
	untried bool // give back the attempt: count and due time as before
	due     int64
	until   int64 // Waiting, after an attempt: one that fails later is the last
	outcome transport.Outcome
	event   Event
}
