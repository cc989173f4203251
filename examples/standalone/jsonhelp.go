package main

// jsonHelp documents the fields of --json.
const jsonHelp = `With --json a list prints one object a line, a single answer one object.

queue list, queue show   queue_name queue_id arrival_time message_size sender
                         recipients[].address .delay_reason .state .attempts .due .lane
                         state site login via uid client script expires
queue hold … delete      messages dry_run
queue stats              messages size waiting deferred active hold oldest
                         lanes[].lane .waiting .active .hold  sites[].site .waiting .active .hold
route list, set          pattern value
route lookup             transport nexthop rule
explain                  transport nexthop source{name ipv4 ipv6 helo} tls credential lane limit
                         because[].part .rule
source list, set         key ipv4 ipv6 helo
smarthost list, set      key nexthop credential
relay list, set          key credential
tls list, set            key level
site list, add           name uids contact suspended
domain list, add         domain site class
login list, add          name site

Times are seconds since 1970, sizes octets.
`
