// Package queue keeps mail until it is delivered: a durable queue in an SQLite
// file, and the scheduler that empties it.
//
// # The model
//
// A message is an envelope, an origin and a content. Each recipient of it is in
// exactly one state: waiting until it is due, active while it is tried, on hold,
// or final. When all recipients are final the message goes.
//
// Recipients are filed in lanes by a label, normally "source/next hop". A lane
// has its own concurrency and its own pauses; within a lane the sites take turns.
// The database is the schedule: memory holds what is under way and a little
// more, however long the queue is.
//
// # Whose turn it is
//
// In a lane, mail of a higher [Priority] goes first, but for every tenth turn. Among
// mail of one priority the sites take turns; a large message counts as one delivery
// more for each 256 KiB, and its site lets others pass until it has paid.
//
// So what a site sends, if nothing of its own is before it, waits for one delivery of
// each other site: where n others have mail of the same priority in the lane, it is
// no later than the delivery n+1 of that priority that begins after Enqueue has
// returned. That holds whatever the others have waiting or claimed, with two
// exceptions. If a claim for the lane was just being committed, those deliveries come
// first that begin at once when it is: at most the lane's concurrency. And where more
// new sites come at once than six times that, or a message is stored by another
// process, it is found when what is claimed ahead runs short, up to six times the
// concurrency later, and then in turn with the lane's other sites. For EnqueueTx the
// commit counts, and the [Queue.Wake] after it.
//
// Of the lanes that are due those go first that have been for longest, but every
// fourth claim is for the one that became due last: the only message of a site does
// not wait for ten thousand lanes of another's. Workers that are short go to the
// sites with the fewest deliveries under way, and the last quarter of them to lanes
// with few: destinations that do not answer never hold all.
//
// Lanes that share what limits them, such as those of two domains behind one provider,
// take turns too: a place that becomes free goes to the one of them that has begun no
// delivery for longest. Where n lanes share a limit of w deliveries, a lane that comes
// begins its first no later than the delivery n+w of theirs after that, and no lane
// that has mail all the time begins w+1 more than another that does. The transport must
// say how much room there is: see [transport.Admitter]. It is so on average only where
// a rate has them wait for more than a second, and where more than a hundred share
// limits that have no name (see [transport.Room]); of more than a thousand that wait,
// those above try again within half a minute.
//
// A lane that has no room until a known instant, because its destination is dead or
// a rate is used up, is parked in the database until then, also across a restart.
// [Queue.Retry] has it tried at once.
//
// # Attempts
//
// [Queue.Run] gives attempts to a [transport.Transport]: recipients of one message
// and lane together. What it reports settles them. Delivered and failed are
// final. A deferral is tried again after as long as the recipient has been tried
// already, between [Options.BackoffMin] and [Options.BackoffMax], until the
// message's lifetime is over. What was not tried goes back as it was.
//
// # What it guarantees
//
// Accepted means on disk: when [Queue.Enqueue] returns, content, envelope and
// recipients were committed to a write-ahead log that is synced on every commit.
// Many producers share a commit.
//
// At least once: each recipient is delivered to, or its sender told, or an event
// says why neither. A second delivery can only come of an attempt whose outcome
// was lost: in a crash, or with the connection after the final dot.
//
// An attempt, and when the next one is due, are written before it is made: a
// crash does not turn into a hammer. Leases with tokens keep a late outcome from
// overwriting what came after.
//
// A failure and the report about it (RFC 3464) are one commit. A message with the
// null reverse-path is never reported on.
//
// # History
//
// What happens to a message is written in the commit that makes it so, as an
// [Event] with a number: [Queue.History] has those of one message, also when it has
// left the queue, and [Queue.Events] those of all, from any number on and as they
// come. Each recipient has exactly one event that is final. Events are kept for
// [Options.Retention].
//
// What is deleted is overwritten, and space that is free for good goes back to the
// file system. A small message that comes to its end long after it was stored has
// left the queue then, but its content leaves the file with that of others: while Run
// goes on this begins when for two seconds nothing more has ended, and about a minute
// later at the latest.
//
// # With a database of your own
//
// [New] keeps the queue in the file of your own database, and
// [Queue.EnqueueTx] adds a message to your own transaction: both happen, or
// neither. [Queue.Update] and [Queue.View] lend you the queue's connections.
package queue
