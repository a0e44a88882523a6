/** The maximum sizes of messages and of what is kept of them. Each limit is checked before the bytes are used. */

/** A startup packet, as in PostgreSQL (MAX_STARTUP_PACKET_LENGTH). */
export const MAX_STARTUP_PACKET_BYTES = 10_000
/** A user or database name. PostgreSQL truncates names to 63 bytes; PgBouncer accepts 127. */
export const MAX_NAME_BYTES = 127
/** A password or SASL message from a client. */
export const MAX_PASSWORD_BYTES = 65_530
/** The part of a Parse, Bind, Describe or Close that is held to find the names in it. A longer portal or statement name is refused. */
export const MAX_PREFIX_BYTES = 8 * 1024
/** A named statement that is kept to be prepared again on other servers. */
export const MAX_NAMED_STATEMENT_BYTES = 16 * 1024 * 1024
/** All named statements that one client has at a time. Each counts with its name and STATEMENT_BYTES. */
export const MAX_CLIENT_STATEMENTS_BYTES = 32 * 1024 * 1024
/** What a statement takes besides its text and name, so that many small ones count, too. */
export const STATEMENT_BYTES = 256
/** An unnamed statement that is kept to be bound in a later transaction. A larger one passes through and lasts as long as its transaction. */
export const MAX_UNNAMED_STATEMENT_BYTES = 1024 * 1024
/** With auto_prepare: an unnamed statement that servers keep. */
export const MAX_AUTO_PREPARED_BYTES = 64 * 1024
/** With auto_prepare: a batch that is kept until its first answer, to be sent again if the answer is that tables have changed. */
export const MAX_RECORDING_BYTES = 64 * 1024
/** An ErrorResponse, CommandComplete or ParameterStatus that is buffered to be decoded. A larger ErrorResponse passes through. */
export const MAX_HELD_REPLY_BYTES = 64 * 1024
/** A message from a server outside a lease (login, checks, settings). */
export const MAX_CHORE_REPLY_BYTES = 1024 * 1024
/** All ParameterStatus and NoticeResponse of a server until it is open: settings are kept, notices logged. Usually it takes less than 1 KiB. */
export const MAX_OPENING_REPORTS_BYTES = 1024 * 1024
/** Anything that a client sends to the console. */
export const MAX_CONSOLE_MESSAGE_BYTES = 64 * 1024
