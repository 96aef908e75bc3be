const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND = 1000;

// --- links: streams, credit, outbox ---

/** Octets of messages that may be under way to a participant: its credit. A record may go past it. */
export const CREDIT_WINDOW_BYTES = MIB;
/** Progress is reported after this many octets, or after `PROGRESS_DELAY_MS` where there are fewer. */
export const PROGRESS_STEP_BYTES = CREDIT_WINDOW_BYTES / 4;
export const PROGRESS_DELAY_MS = 20;
/** Accepted for one participant and not acknowledged: above it, publishers are slowed down. */
export const OUTBOX_LIMIT_BYTES = 64 * MIB;
/** Publishers go on when the outbox is down to this. */
export const OUTBOX_RELIEF_BYTES = 48 * MIB;
/** A full outbox that nothing leaves for this long loses what was not sent yet. */
export const STALL_LIMIT_MS = 5 * SECOND;
/** Header and body of one message, all that a point takes: bodies of 16 MiB, in any case. A larger one is refused. */
export const MAX_CONTENT_BYTES = 16 * MIB + 255 * KIB;
/** One record of the message stream: content, its names and numbers. A larger one ends the link. */
export const MAX_RECORD_BYTES = MAX_CONTENT_BYTES + KIB;
/** One message of the control stream; a larger one ends the link. */
export const MAX_CONTROL_BYTES = MIB;
/** Lists of which the parts may come in several messages are cut into messages of at most this. */
export const CONTROL_PART_BYTES = MAX_CONTROL_BYTES / 2;
/** Control messages that wait for a participant that does not read; more than this ends the link. */
export const CONTROL_BACKLOG_BYTES = 16 * MIB;

/** Time limits of a link. */
export const DIAL_TIMEOUT_MS = 5 * SECOND;
export const HELLO_TIMEOUT_MS = 5 * SECOND;
export const PING_INTERVAL_MS = 5 * SECOND;
/** A link on which nothing was heard for this long is dead; so is a member that cannot be linked for this long. */
export const DEAD_AFTER_MS = 15 * SECOND;
/** Reconnection waits a random time below a bound that doubles from the first to the last of these. */
export const RETRY_FIRST_MS = 250;
export const RETRY_CAP_MS = 30 * SECOND;
/** Two dials that cross within this time are one double dial; a later one replaces a link that has gone stale. */
export const DOUBLE_DIAL_WINDOW_MS = 10 * SECOND;
/** A member that died is redialled this long, in case it was the network that died. */
export const LOST_PEER_RETENTION_MS = 3600 * SECOND;

/** A peer that links and then shares no space for this long is sent away. */
export const UNSHARED_LIMIT_MS = 10 * SECOND;

/** Links of one node, lost ones included; further peers are refused, and lost ones make room first. */
export const MAX_LINKS = 1024;
/** Points that one peer may attach; more ends the link. */
export const MAX_POINTS_PER_LINK = 4096;

/** Spaces of one session that the other side has told all about; of further ones nobody is waited for who tells too early. */
export const MAX_SYNCED_SPACES = 1024;

/** Patterns that a peer may tell of for one point, and in one message. Honest ones summarise at half of it; more ends the link. */
export const MAX_TOLD_PATTERNS = 2_000;
/**
 * Routing keys that a participant may ask for at one direct point. They are secrets, so they are never summarised: a binding
 * beyond is refused, and a peer that tells of more loses its link.
 */
export const MAX_SECRET_KEYS = 32_768;
/** What the interest that one peer tells of may take, over all points; more ends the link. */
export const MAX_INTEREST_BYTES_PER_LINK = 64 * MIB;
/** Points known of one space; a definition above it is not remembered. */
export const MAX_POINTS_PER_SPACE = 4096;

// --- joining ---

/** One lookup at one peer. */
export const LOOKUP_TIMEOUT_MS = 3 * SECOND;
/** Nodes asked in one lookup of a space; half of them at most because they are connected. */
export const MAX_PEERS_ASKED = 32;
/** Reply of a lookup; larger ones are refused, and the answering side leaves members out to stay below. */
export const MAX_LOOKUP_BYTES = MIB;
/** After the first answer to a lookup, others may still come in for this long: two owners may claim the name. */
export const LOOKUP_GRACE_MS = 300;
/** A space that nobody knows is looked for again after these times, as the overlay may still be forming. */
export const LOOKUP_RETRY_MS: readonly number[] = [300, 1000];
/** A new member announces itself in the DHT, and looks there for others, within this time. */
export const FIRST_DISCOVERY_MS = 2 * SECOND;
/** One such round takes this long at most. */
export const DISCOVERY_LIMIT_MS = 15 * SECOND;
/** The DHT is asked for unknown members of a space this often. */
export const DISCOVERY_INTERVAL_MS = 60 * SECOND;
/** To how many others a member hands on what is news to it. */
export const RUMOUR_FANOUT = 3;
/** Members compare what they know with one random other this often. */
export const ANTI_ENTROPY_INTERVAL_MS = 10 * SECOND;

/** How long the declare of an alias may take, as the app sees it. */
export const JOIN_TIMEOUT_MS = 10 * SECOND;
/** A node that stops tells the DHT as far as that goes in this time; members hear of it at once, if they take it in within the other. */
export const LEAVE_TIMEOUT_MS = SECOND;
export const STOP_TIMEOUT_MS = 3 * SECOND;
/** How long a new binding waits for the participants' acknowledgement before it is answered anyway. */
export const SETTLE_TIMEOUT_MS = 2 * SECOND;

// --- identity and signed records ---

/** One signed record in its envelope; a larger one is neither made nor taken. */
export const MAX_SIGNED_RECORD_BYTES = 64 * KIB;
/** Names of spaces and points: an AMQP short string (AMQP 0-9-1 §4.2.5.3). */
export const MAX_NAME_BYTES = 255;
/** Addresses in a member record; what is over is not told. */
export const MAX_ADDRESSES_PER_MEMBER = 16;
/** Points in a member record; a member of more cannot be described and is refused. */
export const MAX_POINTS_PER_MEMBER = 4096;
/** How far the clocks of two nodes may be apart: records live this much longer, and may be this much in the future. */
export const MAX_CLOCK_SKEW_MS = 5 * 60 * SECOND;
/** How long a record is good for after it was signed, at most. A space outlives its owner: nobody else can sign its manifest. */
export const MANIFEST_VALIDITY_MS = 10 * 365 * 24 * 3600 * SECOND;
/** Deleted spaces that a node remembers, to tell members that were away. With more, the oldest is forgotten. */
export const MAX_TOMBSTONES = 1_024;
/** How many spaces of its name a space is known to come after; members of earlier ones hear nothing of it on links. */
export const MAX_EARLIER_GENERATIONS = 16;
export const POINT_VALIDITY_MS = 15 * 60 * SECOND;
/** The deletion of a point has to reach whoever was away. */
export const POINT_TOMBSTONE_VALIDITY_MS = 30 * 24 * 3600 * SECOND;
/** Deleted points that members of a space remember; of more, those that were deleted first are forgotten. */
export const MAX_POINT_TOMBSTONES = 1_024;
/** Of these, how many a node keeps over restarts, the latest ones. */
export const MAX_KEPT_POINT_TOMBSTONES = 64;
export const MEMBER_VALIDITY_MS = 5 * 60 * SECOND;

// --- the overlay node: connections, routing table, what strangers may store ---

/** Connections of one node; above it libp2p closes the least useful ones. Room for all links and for DHT queries. */
export const MAX_CONNECTIONS = 2 * MAX_LINKS;
/** Inbound connections that are not through the handshakes yet; further ones are refused. */
export const MAX_PENDING_CONNECTIONS = 512;
/** New connections per second from one host, which may be a NAT or a machine of many nodes; further ones are refused. */
export const MAX_CONNECTIONS_PER_SECOND_PER_HOST = 512;
/** So much of what is sent over one connection may wait for the kernel to take it; then streams wait. */
export const SEND_BUFFER_BYTES = 256 * KIB;
/** Yamux streams grow their window up to this; below its read buffer of 4 MiB, so that a paused stream is not broken. */
export const MAX_STREAM_WINDOW_BYTES = MIB;
/** Streams of one connection in one protocol of the DHT; further ones are reset. */
export const MAX_DHT_STREAMS_PER_CONNECTION = 256;

/** Replication and width of a query, as in BitTorrent's Mainline DHT. */
export const K_BUCKET_SIZE = 8;
/** Requests under way in one query. */
export const QUERY_CONCURRENCY = 4;
/** One request of the DHT, dialling included: adapts to the network between these. A hung peer costs the upper one. */
export const MIN_REQUEST_TIMEOUT_MS = SECOND;
export const MAX_REQUEST_TIMEOUT_MS = 2 * SECOND;

/** Dialling one of several addresses of a peer. */
export const ADDRESS_DIAL_TIMEOUT_MS = 3 * SECOND;

/** Where a peer can be reached through relays, its direct addresses are given this long, then one relay after the other. */
export const WAY_DIAL_TIMEOUT_MS = 1500;
/** Over a relayed session a direct one is tried for this often, by either side. */
export const UPGRADE_INTERVAL_MS = 60 * SECOND;

/** Whoever connected within this time comes into the routing table without a ping: it has just answered. */
export const FRESH_CONNECTION_MS = 5 * SECOND;
/** Peers that are checked for life at the same time; further suspects are left until they fail again. */
export const MAX_SUSPECTS = 32;
/** A suspect that does not answer a ping within this is taken out of the routing table. */
export const SUSPECT_TIMEOUT_MS = 3 * SECOND;

/** What strangers may make this node keep. In each, the least recently written entries make room. */
export const MAX_STORED_PEER_BYTES = 16 * MIB;
export const MAX_STORED_PROVIDER_BYTES = 4 * MIB;
export const MAX_STORED_VALUE_BYTES = 16 * MIB;
/** What libp2p's services keep beside these. */
export const MAX_STORED_OTHER_BYTES = MIB;
/** What an entry counts for besides its key and value. */
export const STORED_ENTRY_BYTES = 256;
/**
 * What one peer may store in the DHT here: so many at once, and so many each second; more is refused. Alone it cannot push
 * out provider records before their owners renew them.
 */
export const MAX_STORES_PER_PEER = 1024;
export const STORES_PER_SECOND_PER_PEER = 64;

// --- relays ---

/** Nodes that this one dials back at the same time, for them to know whether they can be dialled; others ask somebody else. */
export const MAX_DIALS_BACK = 4;

/** Relays that a node is reached through at the same time: one, and one for when that fails. */
export const MAX_RELAYS = 2;
/** Relays that a node asks in its life; those that it has asked before may relay for it again. libp2p forgets none of them. */
export const MAX_RELAYS_ASKED = 256;
/** Addresses through one relay in a member record; a relay may have many of its own. */
export const MAX_ADDRESSES_PER_RELAY = 2;
/** How often relays are looked for among the connected nodes while there are too few. */
export const RELAY_SEARCH_INTERVAL_MS = 5 * SECOND;
/** A node that refused to relay, or failed at it, is not asked again for this long. */
export const RELAY_REFUSED_MS = 60 * SECOND;
/** Nodes that one node relays for; further ones are refused. */
export const MAX_RESERVATIONS = 256;
/** They renew it in time. One whose node is gone is free at once. */
export const RESERVATION_VALIDITY_MS = 30 * 60 * SECOND;
/** Connections that one node relays at the same time, in all and for one node at either end; further ones are refused. */
export const MAX_RELAYED_CONNECTIONS = 512;
export const MAX_RELAYED_CONNECTIONS_PER_PEER = 64;
/** Octets of one relayed connection, one way, that wait in a relay for who does not read; then the sender waits. */
export const RELAY_BACKLOG_BYTES = 256 * KIB;

// --- nodes on the same network ---

/** How often mDNS asks who is there. */
export const LOCAL_DISCOVERY_INTERVAL_MS = 10 * SECOND;
/** Found nodes that are dialled at the same time; others are when they are found again. */
export const MAX_LOCAL_DIALS = 8;
/** Who is connected to this many nodes dials no further ones that mDNS finds: the DHT leads to the rest. */
export const ENOUGH_CONNECTIONS = 32;

// --- seeds ---

/** Seeds of one declaration; more are refused. */
export const MAX_SEEDS = 64;
/** After the first seed has answered, the others have this long to answer too before a join goes on. */
export const SEED_GRACE_MS = 250;
/** How long a join waits for seeds when the node knows other peers already. */
export const SEED_PATIENCE_MS = SECOND;

// --- the directory: what the DHT tells, and how long ---

/** Holders drop a provider record after this; equal on every node. A dead member is found for no longer. */
export const PROVIDER_VALIDITY_MS = 300 * SECOND;
/** How often holders look for expired provider records. */
export const PROVIDER_SWEEP_MS = 30 * SECOND;
/** A member announces itself again after a random time between three quarters of this and all of it. */
export const ANNOUNCE_PERIOD_MS = 120 * SECOND;
/** Members that one lookup yields at most; members hand over the rest. */
export const MAX_FOUND_MEMBERS = 64;
/** One lookup in the DHT, and one act of storing; what was found or stored until then counts. */
export const DHT_READ_TIMEOUT_MS = 4 * SECOND;
export const DHT_WRITE_TIMEOUT_MS = 6 * SECOND;
/** Whoever enters a space has just read what it keeps from then on: for so long that need not be read again, of so many keys. */
export const RECENT_READ_MS = 10 * SECOND;
export const MAX_RECENT_READS = 1_024;
/** Rounds of storing where others store under the same key at the same time; then what is known is the answer. */
export const MAX_STORE_ROUNDS = 3;
/** Records that compete for one name; the preferred ones are kept. The wire format has the same limit. */
export const MAX_CLAIMS = 8;
export const MAX_CLAIMS_BYTES = 128 * KIB;
/** Nodes that should hold what is kept alive. With fewer it is stored again as soon as further peers are known. */
export const ENOUGH_HOLDERS = 3;
/** Repairs wait a random time below this, so that several keepers do not repair the same thing at once. */
export const REPAIR_DELAY_MS = 2 * SECOND;
/** Duties of upkeep that run at the same time; others wait. */
export const UPKEEP_LANES = 4;
/** How often what is kept alive is looked after, at most; a random part of a quarter earlier. */
export const MANIFEST_PERIOD_MS = 30 * 60 * SECOND;
/** Of a granted space, which a member may be in whom nobody tells of revocations, as all that it is linked to are revoked. */
export const GRANTED_MANIFEST_PERIOD_MS = 60 * SECOND;
export const POINT_PERIOD_MS = POINT_VALIDITY_MS / 4;

// --- membership ---

/** Live members of one space; further ones are not taken in, and those that leave make room. */
export const MAX_MEMBERS = 1024;
/** Members that are gone and remembered until their records expire; above it, the longest gone is forgotten. */
export const MAX_DEPARTED = 4096;

// --- what is kept over restarts ---

/** Changes leave for the disk together after this. A process that is killed loses so much of what it knew of others. */
export const WRITE_DELAY_MS = SECOND;
/** Changes that wait while the disk takes none; further ones are not kept. */
export const MAX_UNWRITTEN_ENTRIES = 65_536;
/** Neighbours in the DHT that are dialled after a restart, or when this node was cut off; as many as kad-dht counts. */
export const MAX_FORMER_NEIGHBOURS = 20;
/** Spaces that are remembered; above it, the one that changed least recently is forgotten. */
export const MAX_KNOWN_SPACES = 256;
/** Members remembered of each, those last seen; a join dials all of them at once. */
export const MAX_KNOWN_MEMBERS = 32;
/** How often the members are looked at for that. */
export const KNOWN_SPACES_INTERVAL_MS = 5 * SECOND;
/** A member that knows no other one looks for some this often. */
export const LONELY_DISCOVERY_INTERVAL_MS = 10 * SECOND;

// --- grants ---

/** One grant as a compact JWS, with the chain that it was delegated through; a larger one is neither made nor taken. */
export const MAX_GRANT_BYTES = 8 * KIB;
/** How often a grant may be handed down from the owner's. The holder of a bearer grant takes one of these. */
export const MAX_DELEGATIONS = 4;
/** Of one grant: names of points, and routing keys. More are refused. */
export const MAX_GRANT_PATTERNS = 32;
/** A grant is good for this long at most; a later expiry is refused. */
export const MAX_GRANT_VALIDITY_MS = 10 * 365 * 24 * 3600 * SECOND;
/** How far the clocks of whoever signs a grant and whoever checks it may be apart; beyond it, the cause says so. */
export const GRANT_CLOCK_SKEW_MS = 5 * 60 * SECOND;
/** Grants that a member shows for one space, which add up; of more, the one it was given first goes. */
export const MAX_GRANTS_PER_MEMBER = 4;
/** Grants read and kept to be looked up, per space; more make the earliest go, which is read again. */
export const MAX_READ_GRANTS = 4096;
/** Decisions on routing keys kept per participant and point; one more forgets all, and they are made again. */
export const MAX_KEY_DECISIONS = 4096;
/** Revocations of one space, those of expired grants not counted; one more is refused. All fit into a manifest. */
export const MAX_REVOCATIONS = 1024;
/** A member that was without links reads in the DHT what was revoked, for this long at most; then it links with what it knows. */
export const MANIFEST_READ_LIMIT_MS = 2 * SECOND;
/** How much of it finding back into the DHT may take. */
export const DHT_RECOVERY_LIMIT_MS = SECOND;
/** What was read less than this ago, and since the last link was lost, is not read again: linked members may take as long to hear. */
export const MANIFEST_FRESH_MS = 2 * SECOND;
/** Grants that a node remembers to have signed, and that it holds, those that expired not counted; one more is refused. */
export const MAX_KEPT_GRANTS = 10_000;
