class CreateEvents < ActiveRecord::Migration[6.1]
  def change
    create_table :events do |t|
      t.text :name, null: false
      t.integer :seats_left, null: false
    end
  end
end
