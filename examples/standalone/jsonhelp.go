package main

// jsonHelp documents the fields of --json.
const jsonHelp = `With --json a list prints one object a line, a single answer one object.

queue list     queue_name queue_id arrival_time message_size forced_expire sender
               recipients[].address .delay_reason .state .attempts .due .lane
                            .parked .parked_why (when nothing is tried there, and why)
               state site login via uid client script not_before expires
queue show     the same, and history[] with the fields of trail; of a message that
               has left the queue the state is gone, and queue_name is empty
queue hold, release, retry, requeue, fail, delete
               messages dry_run
queue stats    messages size waiting deferred active hold oldest
               lanes[].lane .waiting .active .hold .due .parked .parked_why
               sites[].site .waiting .active .hold
               flow[].site .lane .minute .hour .day, each .delivered .deferred .bounced
               ages[].lane .count[] (--ages; younger than 5 10 20 40 80 160 320 640
               1280 minutes, and the rest)
queue rule add, list, delete
               id site sender domain via reason created
trail          seq time event queue_id previous_id site sender recipient lane
               code status reply host address tls{version cipher trust} attempt
               delay due size recipients report_id transcript
route list, set          pattern value
route lookup             transport nexthop rule
route import             routes (how many) dry_run
route sender list, set   key value
route sender import      sender_routes sources (how many) dry_run
explain                  transport nexthop source{name ipv4 ipv6 helo prefer} helo tls tls_terms credential
                         attempts limit initial schedule destination lane
                         because[].part .rule, and with --dns hosts[]{name address from dane sts} trouble
probe                    host address from helo extensions[] transcript problem
                         tls{version cipher verified problem chain[]{subject issuer names[] not_before
                         not_after sha256 key_sha256}} dane{status base records[]}
source list, set, add    key site ipv4 ipv6 helo prefer weight
smarthost list, set      key nexthop credential
relay list, set          key credential
smarthost import         smarthosts (how many) dry_run
relay import             credentials (how many) dry_run
tls list, set            site key level match ca min ciphers
tls list --cached        domain id mode mx[] fetched expires
tls report               day domain policy policy_text[] success failure
                         failures[].kind .host .address .sessions .detail
template convert         file panel text report[]{file line rule text fix}
template list, set       site name syntax size changed; show has text too
dns validate             file valid records zones[] problems[] warnings[]
                         {file line column rule text fix record}
dns policy               policy
dns render               name ttl class type data value{}
dns check                zone operations[]{op have want why alias} waiting[]{name right[]
                         behind[] operations[]} troubles[]{zone server address status detail
                         names[]} unknown[] right[] recursive
                         warnings[]{rule text fix record}
site list, add           name uids contact suspended removing
site suspend, resume     name suspended
site rename              name previous
site remove, receipts    site by time rows{} oldest newest
domain list, add         domain site class listed
domain remove            site rows{} (how many of each kind went)
mailbox list, add        address site deliver max_size disabled
domain recipient list    address site
alias list, set          alias site targets disabled
alias import, newaliases aliases (how many)
login list, add          name site
srs forward, reverse     address rewritten, address original
srs list, rotate         id site created replaced until
srs share                site
dkim list, generate, import, rotate
               domain selector algorithm state name record target created seen
               begins signing stopped drained retired rotate checked trouble
dkim check     the same, and problems[]
dkim record    name type text target state
dkim signer list, add, delete
               nexthop
transport list, show, set
               name base built_in concurrency initial processes rate rate_delay
               recipients cohorts attempts retry_min retry_max lifetime
               connect_timeout helo_timeout tls; 0 and "" are the defaults

Times are seconds since 1970, but those of certificates, templates, DKIM keys
and MTA-STS policies RFC 3339; delays seconds, sizes octets. A field that has
nothing to say is left out, except those of postqueue -j and numbers that count.
The events of trail are queued, delivered, deferred, uncertain, failed, expired,
held, released, requeued and removed; seq is the cursor for --after.
postqueue -j has the fields of Postfix, with or without --json.
`
