# The Rscript worker: answers messages on two pipes until the first one ends. Usage: worker.R FOLDER [SCRIPT...]

local({
  arguments <- commandArgs(trailingOnly = TRUE)
  home <- new.env(parent = parent.env(globalenv()))
  sys.source(file.path(arguments[[1L]], "session.R"), envir = home)
  home$cc_start(arguments[[1L]], arguments[-1L])

  eval(quote({
    cc_inbox <- fifo(paste0("/dev/fd/", Sys.getenv("CROSSCHECK_IN")), "rb", blocking = TRUE)
    cc_outbox <- fifo(paste0("/dev/fd/", Sys.getenv("CROSSCHECK_OUT")), "wb", blocking = TRUE)

    # Buffers of a message to columns.
    cc_unpack <- function(columns, payload, rows) {
      lapply(columns, function(column) {
        bytes <- payload[column$offset + seq_len(column$bytes)]
        wide <- column$width == 8
        values <- readBin(bytes, if (wide) "double" else "integer", rows, size = column$width, endian = "little")
        list(name = column$name, kind = column$kind, values = values, levels = column$levels)
      })
    }

    cc_handle <- function(header, payload) {
      switch(header$op,
        hello = c(list(ok = TRUE), cc_hello()),
        put = {
          cc_put(header$key, header$rows, cc_unpack(header$columns, payload, header$rows))
          list(ok = TRUE)
        },
        drop = {
          cc_drop(header$key)
          list(ok = TRUE)
        },
        stop("there is no operation ", header$op)
      )
    }

    cc_loop <- function() {
      repeat {
        message_ <- cc_receive(cc_inbox)
        if (is.null(message_) || identical(message_$header$op, "quit")) break
        header <- message_$header
        if (identical(header$op, "batch")) {
          for (item in header$items) {
            answer <- cc_answer(item$engine, item$key, item$request)
            answer$id <- header$id
            cc_send(cc_outbox, answer)
          }
          next
        }
        answer <- tryCatch(
          cc_handle(header, message_$payload),
          error = function(e) {
            list(ok = FALSE, error = list(class = class(e)[[1L]], message = conditionMessage(e), call = header$op))
          }
        )
        answer$id <- header$id
        cc_send(cc_outbox, answer)
      }
    }
    cc_loop()
  }), home)
})
