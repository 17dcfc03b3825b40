-- The runs of a conversation are those of its events; an index of their own cost a page for each message.
drop index runs_conversation;
