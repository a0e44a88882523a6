# Ruby's pg: parameters, prepared statements, pipelines, single rows, COPY and cancel, by libpq.
require 'pg'

db = PG.connect
def show(*values) = puts(values.map(&:inspect).join(' '))

def fails
  yield
  raise 'it should have failed'
rescue PG::Error => error
  show error.class, error.result&.error_field(PG::PG_DIAG_SQLSTATE), error.message.lines.first.strip
end

show db.exec_params('select $1::int + 1 as sum, $2::text as word', [41, 'größer']).to_a
db.prepare('mine', 'select $1::int * 2 as doubled')
3.times { |i| show db.exec_prepared('mine', [i]).values }
show db.describe_prepared('mine').fields
fails { db.prepare('mine', 'select 1') }
fails { db.exec_prepared('nobody') }
fails { db.exec('select 1 / 0') }
db.exec('deallocate mine')
fails { db.exec_prepared('mine', [1]) }
db.prepare('mine', 'select $1::text as word')
show db.exec_prepared('mine', ['again']).values
db.exec('deallocate all')
db.prepare('mine', 'select 1 as one')
show db.exec_prepared('mine').to_a

db.exec('create table points (id int primary key, name text)')
fails do
  db.transaction do |it|
    it.exec("insert into points values (1, 'one')")
    it.exec("insert into points values (1, 'two')")
  end
end
db.transaction { |it| it.exec("insert into points values (0, 'zero')") }

db.copy_data('copy points from stdin', PG::TextEncoder::CopyRow.new) do
  5000.times { |i| db.put_copy_data [i + 10, i.even? ? nil : "p\t#{i}"] }
end
rows = []
db.copy_data('copy (select * from points where id < 13 order by id) to stdout', PG::TextDecoder::CopyRow.new) do
  while (row = db.get_copy_data)
    rows << row
  end
end
show rows
fails do
  db.copy_data('copy points from stdin') { db.put_copy_data "none\tx\n" }
end
begin
  db.copy_data('copy points from stdin') do
    db.put_copy_data "99999\tx\n"
    raise 'our own trouble'
  end
rescue RuntimeError => error
  show error.message
end
show db.exec('select count(*), max(id) from points').values

# COPY by the extended protocol: libpq sends its Sync at once, before any data.
["70001\tx\n", "none\tx\n", nil].each do |data|
  db.send_query_params('copy points from stdin', [])
  show db.get_result.result_status == PG::PGRES_COPY_IN
  db.put_copy_data data if data
  data ? db.put_copy_end : db.put_copy_end('a change of mind')
  result = db.get_last_result
  show result.cmd_status
rescue PG::Error => error
  show error.class, error.message.lines.first.strip
end
db.discard_results
db.send_query_params('copy (select * from points where id > 70000) to stdout', [])
show db.get_result.result_status == PG::PGRES_COPY_OUT, db.get_copy_data, db.get_copy_data, db.get_last_result.cmd_status

# One row at a time, and an error in the midst of them.
db.send_query('select i, 10 / (5 - i) from generate_series(1, 10) i')
db.set_single_row_mode
fails do
  while (result = db.get_result)
    result.check
    show result.values
  end
end
db.discard_results

db.enter_pipeline_mode
20.times { |i| db.send_query_params('select $1::int', [i]) }
db.pipeline_sync
db.send_query_params('select 1 / $1::int', [0])
db.send_query_params("select 'skipped'", [])
db.pipeline_sync
db.send_prepare('piped', 'select $1::int * 3')
db.send_query_prepared('piped', [14])
db.pipeline_sync
syncs = 0
while syncs < 3
  while (result = db.get_result)
    case result.result_status
    when PG::PGRES_PIPELINE_SYNC then syncs += 1; show :sync; break
    when PG::PGRES_TUPLES_OK then show result.values
    when PG::PGRES_PIPELINE_ABORTED then show :aborted
    when PG::PGRES_FATAL_ERROR then show result.error_field(PG::PG_DIAG_SQLSTATE)
    else show result.result_status
    end
  end
end
db.exit_pipeline_mode

db.send_query('select pg_sleep(600)')
# A cancel that comes before the query has begun is lost.
watcher = PG.connect
running = "select 1 from pg_stat_activity where datname = current_database() and state = 'active' and query = 'select pg_sleep(600)'"
deadline = Time.now + 20
raise 'it does not run' if Time.now > deadline while watcher.exec(running).ntuples.zero?
watcher.close
db.cancel
fails { db.get_last_result }
show db.exec("select 'alive'").values
db.set_notice_processor { |text| show text.strip }
db.exec("do $$ begin raise notice 'a notice'; end $$")
db.transaction do |it|
  oid = it.lo_creat
  file = it.lo_open(oid, PG::INV_READ | PG::INV_WRITE)
  it.lo_write(file, 'large ' * 20_000)
  it.lo_lseek(file, 6, PG::SEEK_SET)
  show it.lo_read(file, 10), it.lo_tell(file)
  it.lo_close(file)
  it.lo_unlink(oid)
end
show db.transaction_status == PG::PQTRANS_IDLE, db.parameter_status('TimeZone')
db.reset
show db.exec("select 'after a reset'").values
db.close
