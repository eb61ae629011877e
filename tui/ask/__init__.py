"""`chat-tui ask`: one question and its answer in a shell, without a screen. Replies are made by `tui.chat`, as everywhere."""
